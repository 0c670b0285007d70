"""Many questions in one call are answered as each of them alone, to the last byte, in whatever company."""

import copy
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.environment import ROOT
from service.catalog.resolve import resolve
from service.errors import InvalidRequestError
from service.quoting.indicative import beside_weight, weights
from service.schemas.workload import SizingRequestSchema
from service.sizing.inference import asks
from service.sizing.science import asks as asks_of_science
from service.sizing.size import Subject, size, size_by_and_by, size_many
from service.sizing.terms import Terms
from service.sizing.training import asks as asks_of_training
from service.sizing.training import stepped
from tests.facts import own_book, own_catalog

CATALOG, BOOK = own_catalog(), own_book()
WEIGHT, BESIDE = weights(CATALOG.hardware, BOOK), beside_weight(CATALOG.hardware, BOOK)
FOLDERS = ("config/examples", "config/examples/document/workloads")
EXAMPLES = {path.stem: json.loads(path.read_bytes()) for name in FOLDERS for path in (ROOT / name).glob("*.json")}
MODELS = ("llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b", "nemotron-3-nano-30b-a3b", "gemma-3-27b")

length = st.one_of(
    st.integers(1, 9000),
    st.builds(lambda mean, times: {"mean": mean, "p95": mean * times}, st.integers(10, 4000), st.floats(1.1, 3.0)),
)
demand = st.one_of(
    st.builds(lambda rate: {"requests_s": rate}, st.floats(0.1, 500.0)),
    st.builds(lambda clients: {"concurrency": clients}, st.integers(1, 3000)),
    st.builds(lambda gpus: {"saturate_gpus": gpus}, st.sampled_from([1, 8, 16, 64])),
)
inference = st.fixed_dictionaries(
    {
        "kind": st.just("inference"),
        "model": st.sampled_from(MODELS),
        "isl_tokens": length,
        "osl_tokens": length,
        "demand": demand,
    },
    optional={
        "slo": st.fixed_dictionaries(
            {"ttft_ms": st.sampled_from([20, 500, 3000]), "tpot_ms": st.sampled_from([1, 15, 60])},
            optional={"percentile": st.sampled_from([50, 99])},
        ),
        "prefix_cache_hit_fraction": st.sampled_from([0.3, 0.9]),
        "serving": st.sampled_from(["aggregated", "disaggregated"]),
        "speculative_decoding": st.just({"draft_tokens": 3, "acceptance_fraction": 0.7}),
        "engine": st.sampled_from(["vllm", "sglang"]),
    },
)


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """An example of any kind, with another amount of work where it has one."""
    workload: dict[str, Any] = copy.deepcopy(EXAMPLES[draw(st.sampled_from(sorted(EXAMPLES)))]["workload"])
    factor = draw(st.sampled_from([0.3, 1.0, 4.0]))
    for name in ("tokens", "targets_day", "ns_day", "steps"):
        if isinstance(workload.get(name), int | float):
            workload[name] = workload[name] * factor
    return workload


training = st.fixed_dictionaries(
    {
        "kind": st.just("training"),
        "model": st.sampled_from(["llama-3.1-8b", "gpt-oss-20b"]),
        "method": st.sampled_from(["pretrain", "lora", "grpo"]),
        "tokens": st.sampled_from([1e8, 3e10]),
        "seq_len_tokens": st.sampled_from([2048, 8192, 32768]),
        "target": st.one_of(
            st.builds(lambda gpus: {"gpus": gpus}, st.sampled_from([8, 24, 64])),
            st.builds(lambda days: {"deadline_days": days}, st.sampled_from([0.01, 3])),
        ),
    },
    optional={"global_batch_sequences": st.sampled_from([48, 96, 256]), "storage_gb_s": st.just(3)},
)
bodies = st.builds(
    lambda workload, constraints: {"workload": workload, "constraints": constraints},
    st.one_of(inference, inference, training, changed()),
    st.sampled_from([{}, {}, {"max_racks": 1}, {"min_confidence_fraction": 0.5}]),
)


@cache
def _subject(body: str) -> Subject:
    found = resolve(CATALOG, SizingRequestSchema().load(json.loads(body)).question)
    return Subject(question=found.question, architecture=found.architecture, application=found.application)


@dataclass(frozen=True)
class Ways:
    """A question alone, and many in a call."""

    best_only: bool

    def alone(self, one: Subject) -> str:
        asks_of_training._KNOWN.clear()
        try:
            return repr(
                size(
                    one.question,
                    hardware=CATALOG.hardware,
                    architecture=one.architecture,
                    application=one.application,
                    calibration=CATALOG.calibration,
                    weight=WEIGHT,
                    beside_weight=BESIDE,
                    best_only=self.best_only,
                )
            )
        except InvalidRequestError as error:
            return repr(error)

    def together(self, some: list[Subject]) -> list[str]:
        asks_of_training._KNOWN.clear()
        found = size_many(
            some,
            hardware=CATALOG.hardware,
            calibration=CATALOG.calibration,
            weight=WEIGHT,
            beside_weight=BESIDE,
            best_only=self.best_only,
        )
        return [repr(one) for one in found]


@pytest.mark.parametrize("best_only", [True, False])
def test_the_examples_are_answered_alike(best_only: bool) -> None:
    some = [_subject(json.dumps(body)) for body in EXAMPLES.values()]
    ways = Ways(best_only)
    assert ways.together(some) == [ways.alone(one) for one in some]


@settings(max_examples=12, deadline=None)
@given(some=st.lists(bodies, min_size=2, max_size=7), best_only=st.booleans())
def test_company_changes_no_answer(some: list[dict[str, Any]], best_only: bool) -> None:
    subjects = [_subject(json.dumps(body)) for body in some]
    ways = Ways(best_only)
    alone = [ways.alone(one) for one in subjects]
    assert ways.together(subjects) == alone
    assert ways.together(subjects[::-1]) == alone[::-1]


def test_questions_about_one_model_share_their_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    plan = asks.plan_fleet

    def counted(bench: Any, *arguments: Any, **named: Any) -> Any:
        rows.append(bench.layouts.tp.size)
        return plan(bench, *arguments, **named)

    monkeypatch.setattr(asks, "plan_fleet", counted)
    body = copy.deepcopy(EXAMPLES["inference-chat-llama-3.3-70b"])
    alone = _subject(json.dumps(body))
    body["workload"] |= {"isl_tokens": 900, "demand": {"requests_s": 7}}
    other = _subject(json.dumps(body))
    ways = Ways(best_only=True)
    ways.together([alone])
    first, calls = sum(rows), len(rows)
    rows.clear()
    ways.together([other])
    second = sum(rows)
    rows.clear()
    ways.together([alone, other])
    assert (len(rows), sum(rows)) == (calls, first + second)


SEQUENCES, BATCHES = (2048, 4096, 8192), (64, 96)
TRAININGS = [
    {
        "workload": {
            "kind": "training",
            "model": "llama-3.1-8b",
            "method": "lora",
            "tokens": tokens,
            "seq_len_tokens": sequence,
            "global_batch_sequences": batch,
            "target": {"gpus": 16},
        }
    }
    for sequence in SEQUENCES
    for batch in BATCHES
    for tokens in (1e9, 2e9)
]


@pytest.mark.parametrize("best_only", [True, False])
def test_a_chunk_of_trainings_is_answered_as_each_alone(best_only: bool) -> None:
    some = [_subject(json.dumps(body)) for body in TRAININGS]
    ways = Ways(best_only)
    assert ways.together(some) == [ways.alone(one) for one in some]


def test_trainings_that_differ_in_sequence_and_batch_share_their_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    step = stepped.Job.step

    def counted(job: Any, layouts: Any, rates: Any) -> Any:
        rows.append(len(layouts))
        return step(job, layouts, rates)

    monkeypatch.setattr(stepped.Job, "step", counted)
    some, ways = [_subject(json.dumps(body)) for body in TRAININGS], Ways(best_only=True)
    for one in some[::2]:
        ways.alone(one)
    apart, each = sum(rows), len(rows)
    rows.clear()
    # Those that differ in tokens alone have the same steps.
    ways.together(some)
    assert sum(rows) == apart
    assert len(rows) < each == len(SEQUENCES) * len(BATCHES)


SCIENCES = [
    {"workload": {**EXAMPLES[name]["workload"], **changes}}
    for name, each in {
        "science-folding-boltz-2": [{"targets_day": 300}, {"targets_day": 9000, "seeds": 1}, {"seeds": 3}],
        "science-dynamics-gromacs": [{"ns_day": 50}, {"ns_day": 4000, "timestep_fs": 4}, {"atoms": 500_000}],
        "science-fluid-dynamics-roofline": [{"steps": 1000}, {"steps": 9e6}],
    }.items()
    for changes in each
]


@pytest.mark.parametrize("best_only", [True, False])
def test_a_chunk_of_scientific_work_is_answered_as_each_alone(best_only: bool) -> None:
    some = [_subject(json.dumps(body)) for body in SCIENCES]
    ways = Ways(best_only)
    alone = [ways.alone(one) for one in some]
    assert ways.together(some) == alone
    assert ways.together(some[::-1]) == alone[::-1]


def test_work_of_one_application_shares_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    timed = asks_of_science.performance

    def counted(job: Any, candidates: Any, **of: Any) -> Any:
        rows.append(candidates.server.size)
        return timed(job, candidates, **of)

    monkeypatch.setattr(asks_of_science, "performance", counted)
    some, ways = [_subject(json.dumps(body)) for body in SCIENCES], Ways(best_only=True)
    for one in some:
        ways.alone(one)
    apart, each = sum(rows), len(rows)
    rows.clear()
    ways.together(some)
    assert sum(rows) == apart
    # Atoms are another size, at which several GPUs do otherwise.
    assert len(rows) == 4 < each == len(some)


def test_what_was_found_when_somebody_stops_is_the_answer() -> None:
    """The first few are found before the others are begun; what was not found can be asked again."""
    body = copy.deepcopy(EXAMPLES["inference-chat-llama-3.3-70b"])
    some = []
    for number in range(20):
        body["workload"]["osl_tokens"] = 200 + number
        some.append(_subject(json.dumps(body)))
    terms = Terms(
        hardware=CATALOG.hardware,
        calibration=CATALOG.calibration,
        weight=WEIGHT,
        beside_weight=BESIDE,
        best_only=True,
    )
    ways, found = Ways(best_only=True), {}
    for ended in size_by_and_by(some, terms):
        found |= {place: repr(one) for place, one in ended}
        if found:
            break
    assert sorted(found) == list(range(8))
    whole = ways.together(some)
    assert [found[place] for place in range(8)] == whole[:8]
    assert ways.together(some[8:]) == whole[8:]
