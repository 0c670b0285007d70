"""What quantities are called: all that an answer lists has a name that somebody gave it, and its unit."""

from collections.abc import Iterator

import pytest

from config.environment import ROOT
from scripts.size_file import answer
from service.documents.labels import assumption_name, label, limit_name, own_assumption_name, own_name, unit
from service.documents.names import LIMITS
from service.sizing.result import Limit
from tests.facts import own_book, own_catalog

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.json"))


@pytest.fixture(scope="module")
def facts():
    return own_catalog(), own_book()


def quantities(result: dict) -> Iterator[str]:
    for option in result["options"]:
        yield from option["metrics"]
        yield option["bottleneck"]
        yield from option["utilisation"]
        yield from option["memory_gb_gpu"]
        yield from (step["name"] for step in option["working"])
    yield from (one["metric"] for one in result["sensitivity"] if one["metric"] not in {"servers", "gpus"})


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_whatever_an_answer_lists_has_a_name_of_its_own(example, facts):
    _, result = answer(example.read_bytes(), facts)
    names = set(quantities(result))
    assert len(names) > 20
    assert {name for name in names if own_name(name) is None} == set()
    rests_on = {one["field"] for one in result["assumed"]} | {one["assumption"] for one in result["sensitivity"]}
    assert {name for name in rests_on if own_assumption_name(name) is None} == set()


def test_every_limit_has_a_name():
    assert set(LIMITS) == {limit.value for limit in Limit}
    assert limit_name("max_budget_usd") == "Budget for hardware"


@pytest.mark.parametrize(
    ("name", "word", "its_unit"),
    [
        ("model_tflops_gpu", "Model arithmetic", "TFLOPS per GPU"),
        ("run_gpu_h", "GPU-hours of the run", "GPU-hours"),
        ("gpu_seconds_item", "GPU-seconds of one item", "GPU-seconds"),
        ("hfu", "Hardware FLOP utilisation (HFU)", ""),
        ("ttft_p95_ms", "First token, 95 of 100 requests", "ms"),
        ("tpot_p99.9_ms", "Each further token, 99.9 of 100 requests", "ms"),
        ("seconds per unit on b200-sxm", "Seconds per unit on b200-sxm", ""),
        ("some_new_gb_gpu", "Some new", "GB per GPU"),
    ],
)
def test_a_quantity_is_told_with_its_unit(name, word, its_unit):
    assert (label(name), unit(name)) == (word, its_unit)


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("inference.tpot_tail_sigma_fraction", "Spread of TPOT between requests"),
        ("training.failure_interval_gpu_h", "GPU-hours between failures"),
        ("inference.memory_fraction.vllm", "Share of the free memory that is used, vllm"),
        ("workload.demand", "Growth of the demand"),
        ("workload.demand.users", "Demand, users"),
    ],
)
def test_an_assumption_is_told_in_words(place, word):
    assert assumption_name(place) == word
