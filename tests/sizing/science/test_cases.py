"""Published results, each with its tolerance and source; a case is a YAML file that anybody can add."""

import pytest
import yaml

from config.environment import ROOT
from service.catalog.applications import load_facts
from service.schemas.science import APPLICATION_TEMPLATES, SCIENCE_ESTIMATE_SCHEMAS
from tests.sizing.science.jobs import estimated

CASES = sorted((ROOT / "tests/cases/science").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_published_result_is_met(path, catalog):
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert case["source"]
    body = {"kind": "science", **case["workload"]}
    workload = SCIENCE_ESTIMATE_SCHEMAS[APPLICATION_TEMPLATES[body["application"]]]().load(body)
    estimate = estimated(workload, catalog, **case["deployment"])
    metric = next(m for m in estimate.metrics if m.name == case["expected"]["metric"])
    measured, tolerance = case["expected"]["value"], case["expected"]["tolerance_fraction"]

    assert metric.interval.p50 == pytest.approx(measured, rel=tolerance)
    assert metric.interval.p10 <= measured <= metric.interval.p90


def test_there_are_cases():
    assert len(CASES) >= 10


def test_the_schema_knows_every_application_and_its_template():
    found = load_facts(ROOT / "config/science", gpus=_gpus())

    assert {name: app.template for name, app in found.items()} == APPLICATION_TEMPLATES


def _gpus():
    text = yaml.safe_load((ROOT / "config/hardware/gpus.yaml").read_text(encoding="utf-8"))
    return frozenset(record["id"] for record in text["records"])
