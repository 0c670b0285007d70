"""An answer at rest: the bytes that its schemas would write, found in a fraction of the time."""

import json

import orjson
import pytest

from config.environment import ROOT
from service.catalog.resolve import resolve
from service.planning.answer import at_rest, sized
from service.schemas.digest import canonical_json
from service.schemas.result import PricedResultSchema
from service.schemas.workload import SizingRequestSchema
from service.store.runs import Versions
from tests.facts import own_facts

VERSIONS = Versions(catalog="c", calibration="k", engine="e", price_book_digest=None)
EXAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "config/examples").glob("*.json"))}
TOO_FAST = {"kind": "inference", "model": "llama-3.1-70b", "isl_tokens": 1000, "osl_tokens": 200}
QUESTIONS = {
    **EXAMPLES,
    "nothing fits": {"workload": {**TOO_FAST, "demand": {"requests_s": 5}, "slo": {"tpot_ms": 0.05}}},
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_at_rest_is_what_its_schemas_write(name):
    facts = own_facts()
    question = SizingRequestSchema().load(QUESTIONS[name]).question
    result = sized(facts, resolve(facts.catalog, question))
    assert result.result.feasible == (name in EXAMPLES)
    kept = at_rest(result, digest="d", versions=VERSIONS).stored

    written = PricedResultSchema().dump(result)
    working = {str(option["rank"]): option.pop("working") for option in written["options"]}
    versions = {"catalog_version": "c", "calibration_version": "k", "price_book_digest": None, "digest": "d"}
    assert kept.body == canonical_json({**written, **versions})
    assert kept.working == canonical_json(working)
    assert kept.feasible == result.result.feasible
    assert (orjson.loads(kept.working) == {}) == (name not in EXAMPLES)
