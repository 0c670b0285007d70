"""Published training runs, each with its expected value, tolerance and source (tests/cases/training)."""

from pathlib import Path

import pytest
import yaml

from service.catalog.catalog import Catalog
from service.sizing.precision import Precision
from service.sizing.training.evaluate import estimate_training
from service.sizing.workload import Deployment, Method, Recompute, Sharding
from tests.sizing.training.jobs import training_workload

CASES = sorted((Path(__file__).parents[2] / "cases" / "training").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_published_run(path: Path, catalog: Catalog) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    asked, placed = case["workload"], case["deployment"]
    workload = training_workload(
        **asked | {"method": Method(asked["method"]), "precision": Precision(asked.get("precision", "bf16"))}
    )
    enums = {"recompute": Recompute, "sharding": Sharding}
    deployment = Deployment(**{name: enums.get(name, lambda v: v)(value) for name, value in placed.items()})
    found = estimate_training(
        workload,
        deployment,
        hardware=catalog.hardware,
        architecture=catalog.models[asked["model"]].architecture,
        calibration=catalog.calibration,
    )
    values = {m.name: m.interval.p50 for m in found.metrics}
    assert found.fits
    assert values[case["metric"]] == pytest.approx(case["expected"], rel=case["tolerance_fraction"])
    assert case["source"]


def test_there_are_cases() -> None:
    assert len(CASES) >= 10
