"""Published serving runs, drawn at random from the calibration lines (tests/cases/inference).

The tolerance is the p90 error of the run's regime: a case fails when the engine gets worse, not when it is merely
as uncertain as it says.
"""

from pathlib import Path

import pytest
import yaml

from service.catalog.catalog import Catalog
from service.sizing.estimate import estimate
from service.sizing.precision import Precision
from service.sizing.workload import Deployment, Load, LoadKind, ServingEngine, TokenLength
from tests.build import inference_workload

CASES = sorted((Path(__file__).parents[2] / "cases" / "inference").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_published_run(path: Path, catalog: Catalog) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    asked, stated = case["workload"], case["deployment"]
    workload = inference_workload(
        model=asked["model"],
        isl_tokens=TokenLength(mean=asked["isl_tokens"]),
        osl_tokens=TokenLength(mean=asked["osl_tokens"]),
        weight_precision=Precision(asked["weight_precision"]),
        kv_precision=Precision(asked.get("kv_precision", "auto")),
        slo=None,
    )
    load = Load(kind=LoadKind(case["load"]["kind"]), value=case["load"].get("value"))
    found = estimate(
        workload,
        Deployment(**{**stated, "engine": ServingEngine(stated.get("engine", "tensorrt-llm"))}, load=load),
        hardware=catalog.hardware,
        architecture=catalog.models[asked["model"]].architecture,
        application=None,
        calibration=catalog.calibration,
    )
    predicted = next(m.interval.p50 for m in found.metrics if m.name == case["metric"])
    assert found.fits
    assert case["source"]
    assert predicted == pytest.approx(case["expected"], rel=case["tolerance_fraction"])


def test_there_are_cases() -> None:
    assert len(CASES) >= 12
