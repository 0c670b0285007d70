"""Requests on the wire: what is refused and with which words, and that a question survives the round trip."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from service.errors import FieldError
from service.schemas.issue import MAX_ISSUES, field_errors
from service.schemas.workload import QUESTION, SizingRequestSchema
from tests.schemas.requests import ABSENT, ALL, CHAT, DYNAMICS, FOLDING, PRETRAIN, SMALL_CHAT, changed

REQUEST = SizingRequestSchema()


def refused(body: Any) -> dict[str, FieldError]:
    with pytest.raises(ValidationError) as raised:
        REQUEST.load(body)
    return {error.field: error for error in field_errors(raised.value.messages)}


@pytest.mark.parametrize("name", ALL)
def test_load_and_dump_are_each_others_inverse(name):
    request = REQUEST.load(ALL[name])
    spelled_out = REQUEST.dump(request)
    assert REQUEST.load(spelled_out) == request
    assert REQUEST.load(json.loads(json.dumps(spelled_out))) == request
    assert QUESTION.load(QUESTION.dump(request.question)) == request.question


def test_a_dump_spells_out_every_default():
    dumped = QUESTION.dump(REQUEST.load(SMALL_CHAT).question)
    assert dumped["workload"] == {
        "kind": "inference",
        "model": "llama-3.1-8b",
        "isl_tokens": {"mean": 1000},
        "osl_tokens": {"mean": 200},
        "demand": {"concurrency": 16},
        "weight_precision": "auto",
        "kv_precision": "auto",
        "slo": None,
        "prefix_cache_hit_fraction": 0,
        "serving": "auto",
        "speculative_decoding": None,
        "availability": "n",
        "growth_fraction_year": 0,
        "horizon_months": 36,
        "engine": None,
    }
    assert dumped["constraints"]["min_confidence_fraction"] == 0.8


NUMBERS = [
    (CHAT, "workload.isl_tokens"),
    (CHAT, "workload.isl_tokens.mean"),
    (CHAT, "workload.osl_tokens"),
    (CHAT, "workload.slo.ttft_ms"),
    (CHAT, "workload.slo.tpot_ms"),
    (CHAT, "workload.horizon_months"),
    (CHAT, "workload.demand.users"),
    (CHAT, "workload.demand.requests_user_hour"),
    (CHAT, "workload.demand.peak_factor"),
    (CHAT, "constraints.max_rack_kw"),
    (CHAT, "constraints.max_racks"),
    (SMALL_CHAT, "workload.demand.concurrency"),
    (PRETRAIN, "workload.tokens"),
    (PRETRAIN, "workload.seq_len_tokens"),
    (PRETRAIN, "workload.global_batch_sequences"),
    (PRETRAIN, "workload.target.deadline_days"),
    (PRETRAIN, "workload.checkpoint_interval_min"),
    (PRETRAIN, "workload.dataset_tb"),
    (FOLDING, "workload.targets_day"),
    (FOLDING, "workload.seeds"),
    (DYNAMICS, "workload.atoms"),
    (DYNAMICS, "workload.ns_day"),
]


@pytest.mark.parametrize(("body", "path"), NUMBERS, ids=[path for _, path in NUMBERS])
@pytest.mark.parametrize("value", [0, -1, -0.5, 10**18, 1e300, 10**400], ids=str)
def test_a_number_out_of_bounds_is_refused_with_its_limit(body, path, value):
    error = refused(changed(body, path, value))[path]
    assert error.limit
    assert error.value


@pytest.mark.parametrize(("body", "path"), NUMBERS, ids=[path for _, path in NUMBERS])
@pytest.mark.parametrize("value", ["12", True, False, [1], {"value": 1}, float("nan"), float("inf")], ids=str)
def test_what_is_not_a_number_is_refused(body, path, value):
    assert any(field.startswith(path) for field in refused(changed(body, path, value)))


@pytest.mark.parametrize("path", ["workload.demand.concurrency", "workload.isl_tokens"])
def test_a_number_too_small_to_mean_anything_is_refused(path):
    assert refused(changed(SMALL_CHAT, path, 1e-300))[path].limit


def test_a_fraction_is_not_a_count():
    assert (
        "whole number"
        in refused(changed(PRETRAIN, "workload.seq_len_tokens", 4096.5))["workload.seq_len_tokens"].message
    )


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_any_number_loads_within_bounds_or_is_refused(value):
    try:
        request = REQUEST.load(changed(SMALL_CHAT, "workload.demand.concurrency", value))
    except ValidationError:
        return
    assert 1e-3 <= request.question.workload.demand.concurrency <= 1e8


@pytest.mark.parametrize(
    ("demand", "named"),
    [
        ({"users": 5, "requests_s": 3}, ("users", "requests_s")),
        ({"concurrency": 5, "saturate_gpus": 3}, ("concurrency", "saturate_gpus")),
        ({}, ("none was given",)),
        ({"users": None}, ("none was given",)),
    ],
)
def test_exactly_one_demand(demand, named):
    error = refused(changed(CHAT, "workload.demand", demand))["workload.demand"]
    assert all(name in error.message for name in named)


def test_exactly_one_target():
    error = refused(changed(PRETRAIN, "workload.target", {"gpus": 8, "budget_usd": "100"}))["workload.target"]
    assert "gpus" in error.message
    assert "budget_usd" in error.message


def test_null_is_the_same_as_absent():
    with_null = changed(SMALL_CHAT, "workload.demand", {"concurrency": 16, "users": None, "peak_factor": None})
    assert REQUEST.load(changed(with_null, "workload.slo", None)) == REQUEST.load(SMALL_CHAT)


def test_peak_factor_goes_with_users_only():
    error = refused(changed(SMALL_CHAT, "workload.demand", {"concurrency": 16, "peak_factor": 2}))
    assert "users" in error["workload.demand.peak_factor"].message


def test_users_come_with_documented_defaults():
    demand = REQUEST.load(changed(SMALL_CHAT, "workload.demand", {"users": 100})).question.workload.demand
    assert (demand.requests_user_hour, demand.peak_factor) == (6, 3)


@pytest.mark.parametrize(
    ("path", "typo", "meant"),
    [
        ("workload", "ols_tokens", "osl_tokens"),
        ("workload.demand", "user", "users"),
        ("constraints", "max_rack_kW", "max_rack_kw"),
        ("", "constraint", "constraints"),
        # In part: no spelling of it is near.
        ("constraints", "gpus", "allowed_gpus"),
    ],
)
def test_a_typo_is_refused_with_the_name_that_was_meant(path, typo, meant):
    field = f"{path}.{typo}" if path else typo
    error = refused(changed(CHAT, field, 1))[field]
    assert error.did_you_mean[0] == meant


def test_read_only_fields_are_unknown_fields():
    body = {**SMALL_CHAT, "tenant_id": "other", "status": "done", "digest": "x", "created_at": "2026-01-01"}
    assert set(refused(body)) == {"tenant_id", "status", "digest", "created_at"}


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("workload.kind", "inferense", "inference"),
        ("workload.weight_precision", "pf8", "fp8"),
        ("workload.serving", "agregated", "aggregated"),
        ("constraints.cooling", "liquidd", "liquid"),
    ],
)
def test_a_wrong_choice_names_the_choices(path, value, meant):
    error = refused(changed(CHAT, path, value))[path]
    assert meant in error.did_you_mean
    assert meant in (error.limit or "")


def test_an_unknown_application_names_the_nearest():
    error = refused(changed(DYNAMICS, "workload.application", "gromax"))["workload.application"]
    assert error.did_you_mean == ("gromacs",)


def test_fp64_is_for_science_only():
    assert "workload.weight_precision" in refused(changed(CHAT, "workload.weight_precision", "fp64"))


def test_p95_is_not_below_the_mean():
    error = refused(changed(CHAT, "workload.isl_tokens", {"mean": 100, "p95": 99}))["workload.isl_tokens.p95"]
    assert error.limit == "at least the mean, 100"


@pytest.mark.parametrize("field", ["workload.isl_tokens", "workload.osl_tokens"])
def test_a_p95_that_no_lengths_of_this_mean_have_is_refused_with_the_limit(field):
    changed(CHAT, field, {"mean": 2048, "p95": 40_960})
    error = refused(changed(CHAT, field, {"mean": 2048, "p95": 100_000}))[f"{field}.p95"]
    assert error.limit == "at most 20 times the mean, 40960"
    assert error.value == "100000"
    assert "raise the mean" in error.message


@pytest.mark.parametrize("value", [6000000, 6e6, "6,000,000", "-5", "0", "0.00", "1e6", "1.234", "", "NaN", "٣"])
def test_money_is_a_positive_decimal_string(value):
    assert refused(changed(CHAT, "constraints.max_budget_usd", value))["constraints.max_budget_usd"].limit


def test_money_has_one_form():
    loaded = [REQUEST.load(changed(CHAT, "constraints.max_budget_usd", text)) for text in ("6000000.00", "6000000")]
    assert loaded[0] == loaded[1]


@pytest.mark.parametrize("value", ["2027-13-01", "2027-02-30", "20270301", "01.03.2027", "1999-01-01", 20270301, ""])
def test_a_day_is_a_day(value):
    assert "constraints.deliver_by" in refused(changed(CHAT, "constraints.deliver_by", value))


@pytest.mark.parametrize("value", ["XX", "Germany", "DEU", "", 49])
def test_a_country_is_a_country(value):
    assert "constraints.destination_country" in refused(changed(CHAT, "constraints.destination_country", value))


@pytest.mark.parametrize(
    "name", ["", "   ", "a" * 201, "line\nbreak", "bell\x07", "escape\x1b[31m", "nul\x00", "half\ud800", "para\u2029"]
)
def test_names_are_short_and_can_be_shown(name):
    assert "name" in refused({**SMALL_CHAT, "name": name})


def test_names_may_be_in_any_language():
    assert REQUEST.load({**SMALL_CHAT, "name": "Grüße an 東京 👋"}).name == "Grüße an 東京 👋"


@pytest.mark.parametrize(
    "labels", [{"team": 1}, {"team": {"a": "b"}}, {"": "x"}, {"k" * 64: "x"}, {"k": "v" * 256}, ["a"], {"k": "\x00"}]
)
def test_labels_are_a_flat_map_of_short_strings(labels):
    assert any(field.startswith("labels") for field in refused({**SMALL_CHAT, "labels": labels}))


def test_labels_are_few():
    assert "labels" in refused({**SMALL_CHAT, "labels": {f"k{n}": "v" for n in range(65)}})


@pytest.mark.parametrize("body", [[], "x", 1, None, {}, {"workload": []}, {"workload": None}, {"workload": "chat"}])
def test_the_wrong_shape_is_refused(body):
    assert refused(body)


@pytest.mark.parametrize("path", ["workload.model", "workload.isl_tokens", "workload.demand", "workload.kind"])
def test_required_fields_are_required(path):
    assert "required" in refused(changed(CHAT, path, ABSENT))[path].message


def test_an_empty_slo_is_a_mistake():
    assert "throughput only" in refused(changed(CHAT, "workload.slo", {}))["workload.slo"].message


def test_allowed_servers_are_a_set():
    one, other = (
        REQUEST.load(changed(CHAT, "constraints.allowed_servers", names)) for names in (["b", "a", "a"], ["a", "b"])
    )
    assert one == other
    assert "constraints.allowed_servers" in refused(changed(CHAT, "constraints.allowed_servers", []))


def test_a_flood_of_unknown_fields_is_answered_quickly_and_briefly():
    flood = {**CHAT, **{f"field_{number}": 1 for number in range(100_000)}}
    started = time.process_time()
    errors = refused(flood)
    assert len(errors) <= MAX_ISSUES
    assert time.process_time() - started < 1


def test_a_flood_in_a_list_or_in_labels_is_answered_quickly():
    started = time.process_time()
    assert refused(changed(CHAT, "constraints.allowed_servers", [1] * 300_000))
    assert refused({**CHAT, "labels": {f"k{n}": n for n in range(100_000)}})
    assert time.process_time() - started < 1


def test_a_long_wrong_name_is_cut_short():
    error = refused(changed(CHAT, "workload.serving", "x" * 100_000))["workload.serving"]
    assert len(error.value or "") <= 80


INLINE = {
    "layers": 2,
    "hidden": 64,
    "vocab": 1000,
    "max_context_tokens": 4096,
    "mixers": [{"kind": "attention", "count": 2, "heads": 4, "kv_heads": 2, "head_dim": 16}],
    "ffns": [{"kind": "dense", "count": 2, "intermediate": 256}],
}
HF_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize("model", [INLINE, {"hf_config": HF_CONFIG}], ids=["inline", "hf_config"])
def test_a_caller_may_bring_a_model_along(model):
    request = REQUEST.load(changed(SMALL_CHAT, "workload.model", model))
    assert request.question.workload.model.layers > 0
    assert REQUEST.load(REQUEST.dump(request)) == request


@pytest.mark.parametrize(
    "model",
    [
        {},
        {**INLINE, "layers": 0},
        {**INLINE, "layer": 3},
        {"hf_config": []},
        {"hf_config": {"model_type": "resnet"}},
        {"hf_config": {**HF_CONFIG, "num_hidden_layers": -1}},
        {"hf_config": HF_CONFIG, "layers": 2},
        "",
        "nul\x00",
        7,
        ["llama"],
    ],
    ids=str,
)
def test_a_model_that_cannot_be_is_refused(model):
    assert any(field.startswith("workload.model") for field in refused(changed(SMALL_CHAT, "workload.model", model)))


def test_an_slo_that_no_hardware_meets_is_a_question_and_not_a_wrong_field():
    """Whether 0.01 ms can be met is for the engine to say, with the best that can be reached."""
    body = {
        "workload": {
            "kind": "inference",
            "model": "llama-3.1-8b",
            "isl_tokens": 1000,
            "osl_tokens": 200,
            "demand": {"concurrency": 8},
            "slo": {"tpot_ms": 0.01, "ttft_ms": 0.01},
        }
    }
    assert SizingRequestSchema().load(body).question.workload.slo.tpot_ms == 0.01
