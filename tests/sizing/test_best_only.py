"""The best option alone is the first of all options, number by number, and costs no kind its advice."""

import json
from dataclasses import replace

import pytest

from config.environment import ROOT
from service.catalog.resolve import resolve
from service.quoting.indicative import weights
from service.schemas.workload import SizingRequestSchema
from service.sizing.size import size

FOLDERS = ("config/examples", "config/examples/document/workloads")
EXAMPLES = {path.stem: json.loads(path.read_bytes()) for name in FOLDERS for path in (ROOT / name).glob("*.json")}
CHANGES = {
    "as it is": {},
    "little room": {"constraints": {"max_racks": 1, "max_rack_kw": 20}},
    "nothing fits": {"constraints": {"max_racks": 1, "max_facility_kw": 1}},
}


def sized(facts, body, *, best_only):
    catalog = facts.catalog
    resolved = resolve(catalog, SizingRequestSchema().load(body).question)
    return size(
        resolved.question,
        hardware=catalog.hardware,
        architecture=resolved.architecture,
        application=resolved.application,
        calibration=catalog.calibration,
        weight=weights(catalog.hardware, facts.price_book),
        best_only=best_only,
    )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_best_alone_is_the_first_of_all(facts, name, change):
    body = {**EXAMPLES[name], **CHANGES[change]}
    whole, alone = (sized(facts, body, best_only=best_only) for best_only in (False, True))
    assert (alone.feasible, alone.shortfall) == (whole.feasible, whole.shortfall)
    assert len(alone.options) == min(1, len(whole.options))
    if alone.options:
        assert replace(alone.options[0], notes=()) == replace(whole.options[0], notes=(), working=())
    else:
        assert alone.rejected == whole.rejected


def test_given_gpus_are_ranked_by_what_they_do(facts):
    """There the order is that of the output, not of the price alone."""
    body = json.loads(json.dumps(EXAMPLES["inference-agents-gpt-oss-120b"]))
    body["workload"] |= {"demand": {"saturate_gpus": 16}}
    whole, alone = (sized(facts, body, best_only=best_only) for best_only in (False, True))
    assert alone.options[0] == replace(whole.options[0], working=())
