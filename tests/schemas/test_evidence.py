"""Published lines are read leniently: what cannot be read counts as not published, and nothing stops the reader."""

import dataclasses

import pytest

from service.schemas.coordinates import coordinates, value_at, word
from service.schemas.evidence import read_measured
from service.schemas.measured import (
    MeasuredInference,
    MeasuredScience,
    MeasuredTraining,
    Refused,
    RefusedLine,
    Speculation,
)
from service.sizing.precision import Precision
from service.sizing.workload import Arrival, LoadKind, Method, Serving, ServingEngine, Sharding
from tests.evidence import ABSENT, FOLDED, SERVED, TRAINED, line


def test_a_served_model_is_typed():
    run = read_measured(line(deployment__load__arrival="burst", workload__speculative_decoding="likely"))
    assert isinstance(run, MeasuredInference)
    assert (run.id, run.published, run.unreadable) == ("test-0001", "2026-03", ())
    assert run.workload.weight_precision is Precision.FP8
    assert run.workload.speculative_decoding is Speculation.LIKELY
    assert (run.deployment.engine, run.deployment.mode) == (ServingEngine.TENSORRT_LLM, Serving.AGGREGATED)
    assert run.deployment.load is not None
    assert (run.deployment.load.kind, run.deployment.load.value) == (LoadKind.CONCURRENCY, 64)
    assert run.deployment.load.arrival is Arrival.BURST


def test_a_trained_model_and_a_scientific_job_are_typed():
    trained, folded = read_measured(TRAINED), read_measured(FOLDED)
    assert isinstance(trained, MeasuredTraining)
    assert (trained.workload.method, trained.deployment.sharding) == (Method.PRETRAIN, Sharding.ZERO1)
    assert isinstance(folded, MeasuredScience)
    assert (folded.workload.application, dict(folded.workload.sizes)) == ("alphafold-3", {"tokens": 1024.0})


def test_nothing_that_must_not_influence_a_prediction_is_kept():
    kept = set()
    for of in (SERVED, TRAINED, FOLDED):
        run = read_measured(of)
        kept |= {field.name for field in dataclasses.fields(run)}
        kept |= {field.name for part in ("workload", "deployment") for field in dataclasses.fields(getattr(run, part))}
    assert kept.isdisjoint({"source", "reference", "notes", "split", "system_as_published", "basis"})
    assert not [name for name in kept if name.endswith("_as_published")]


@pytest.mark.parametrize(
    ("changes", "unreadable"),
    [
        ({"deployment__tp": "four"}, ("deployment.tp",)),
        ({"deployment__tp": -4}, ("deployment.tp",)),
        ({"deployment__tp": 2.5}, ("deployment.tp",)),
        ({"deployment__tp": 10**30}, ("deployment.tp",)),
        ({"workload__isl_tokens": 0}, ("workload.isl_tokens",)),
        ({"workload__isl_tokens": 1e300}, ("workload.isl_tokens",)),
        ({"workload__weight_precision": "fp3"}, ("workload.weight_precision",)),
        ({"workload__speculative_decoding": "perhaps"}, ("workload.speculative_decoding",)),
        ({"deployment__load": "hard"}, ("deployment.load",)),
        ({"deployment__load__kind": "rate"}, ("deployment.load.kind",)),
        ({"deployment__prefill": {"tp": "x"}}, ("deployment.prefill.tp",)),
        ({"deployment": [1]}, ("deployment",)),
        ({"workload": None, "deployment": None}, ()),
        ({"published": 2026}, ("published",)),
    ],
)
def test_what_cannot_be_read_counts_as_not_published(changes, unreadable):
    run = read_measured(line(**changes))
    assert isinstance(run, MeasuredInference)
    assert run.unreadable == unreadable
    assert run.measured == SERVED["measured"]


def test_a_degree_of_zero_is_none():
    run = read_measured(line(deployment__ep=0, deployment__moe_tp=0, deployment__decode={"tp": 0, "ep": 8}))
    assert isinstance(run, MeasuredInference)
    assert (run.deployment.ep, run.deployment.moe_tp) == (None, None)
    assert run.deployment.decode is not None
    assert (run.deployment.decode.tp, run.deployment.decode.ep) == (None, 8)


@pytest.mark.parametrize(
    ("raw", "refused", "kept"),
    [
        (line(scope="out"), Refused.OUT_OF_SCOPE, "test-0001"),
        (line(scope="requirement"), Refused.NOT_A_TIMING, "test-0001"),
        (line(scope="rumour"), Refused.UNPARSABLE, None),
        (line(kind="knitting"), Refused.UNPARSABLE, None),
        (line(kind=["inference"]), Refused.UNPARSABLE, None),
        (line(kind=ABSENT), Refused.UNPARSABLE, None),
        (line(measured=ABSENT), Refused.UNPARSABLE, None),
        (line(measured={}), Refused.UNPARSABLE, None),
        (line(measured=12), Refused.UNPARSABLE, None),
        ([], Refused.UNPARSABLE, None),
        (None, Refused.UNPARSABLE, None),
    ],
)
def test_a_line_without_a_run_is_refused_with_the_reason(raw, refused, kept):
    found = read_measured(raw)
    assert isinstance(found, RefusedLine)
    assert (found.refused, found.id) == (refused, kept)


def test_a_line_needs_no_scope_and_no_id():
    run = read_measured(line(scope=ABSENT, id=ABSENT))
    assert isinstance(run, MeasuredInference)
    assert run.id is None


def test_coordinates_are_the_same_words_for_every_kind():
    assert coordinates(SERVED).group == (
        "inference", "test-tables", "llama-3.1-70b", "b200-sxm", "fp8", "aggregated",
    )  # fmt: skip
    assert coordinates(TRAINED).mode == "pretrain"
    assert (coordinates(FOLDED).model, coordinates(FOLDED).mode) == ("alphafold-3", "inference")
    assert coordinates({}).group == ("-",) * 6


def test_a_dotted_key_reaches_any_value():
    assert word(SERVED, "deployment.load.value") == "64"
    assert word(SERVED, "workload.isl_tokens") == "1024"
    assert word(SERVED, "workload.speculative_decoding") == "false"
    assert word(SERVED, "split") == "validation"
    assert word(SERVED, "workload.nothing.at.all") == "-"
    assert value_at([1], "0") is None
