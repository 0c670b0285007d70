"""POST /v1/estimates: fixed hardware, evaluated at once."""

import pytest

from tests.api.conftest import Speaker
from tests.schemas.requests import ABSENT, DYNAMICS, FOLDING, PRETRAIN, SMALL_CHAT, changed

CHAT = {
    "workload": changed(SMALL_CHAT, "workload.demand", ABSENT)["workload"],
    "deployment": {"gpu": "b200-sxm", "gpus": 8, "tp": 4, "load": {"kind": "concurrency", "value": 64}},
}
TRAIN = {
    "workload": changed(PRETRAIN, "workload.target", ABSENT)["workload"],
    "deployment": {"gpu": "b200-sxm", "gpus": 64, "tp": 1, "micro_batch": 1, "sharding": "zero1"},
}
FOLD = {
    "workload": changed(FOLDING, "workload.targets_day", ABSENT)["workload"],
    "deployment": {"gpu": "h100-sxm", "gpus": 8},
}
MD = {
    "workload": changed(DYNAMICS, "workload.ns_day", ABSENT)["workload"],
    "deployment": {"gpu": "b200-sxm", "gpus": 8},
}
ALL = {"chat": CHAT, "train": TRAIN, "fold": FOLD, "md": MD}


@pytest.mark.parametrize("name", ALL)
def test_each_kind_is_estimated_at_once(name, acme: Speaker):
    answer = acme.post("/v1/estimates", ALL[name])
    assert answer.status_code == 200, answer.text
    estimate = answer.json
    assert estimate["gpu"] == ALL[name]["deployment"]["gpu"]
    assert estimate["fits"] is True
    assert estimate["metrics"]
    for metric in estimate["metrics"].values():
        assert metric["p10"] <= metric["p50"] <= metric["p90"]
    assert estimate["memory_used_gb_gpu"] <= estimate["memory_usable_gb_gpu"]
    assert estimate["catalog_version"].startswith("sha256:")
    assert acme.post("/v1/estimates", ALL[name]).data == answer.data


@pytest.mark.parametrize("name", ALL)
def test_on_every_gpu_there_are_numbers_or_the_gpu_is_named(name, acme: Speaker):
    answered = 0
    for gpu in acme.get("/v1/catalog/gpus").json["items"]:
        answer = acme.post("/v1/estimates", changed(ALL[name], "deployment.gpu", gpu["id"]))
        if answer.status_code == 200:
            numbers = [value for metric in answer.json["metrics"].values() for value in quantiles(metric)]
            assert all(isinstance(value, int | float) and value > 0 for value in numbers), gpu["id"]
            answered += bool(numbers)
        else:
            assert answer.status_code == 422, (gpu["id"], answer.text)
            assert "deployment.gpu" in {error["field"] for error in answer.json["errors"]}, gpu["id"]
    assert answered >= 20


def quantiles(metric):
    return [metric[name] for name in ("p10", "p50", "p90")]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("chat", "demand", {"users": 5}),
        ("train", "target", {"gpus": 8}),
        ("fold", "targets_day", 5),
        ("md", "ns_day", 5),
    ],
)
def test_a_demand_or_target_is_refused(name, field, value, acme: Speaker):
    answer = acme.post("/v1/estimates", changed(ALL[name], f"workload.{field}", value))
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["field"] == f"workload.{field}"
    assert "estimate" in error["message"]


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("chat", "deployment.gpu", "b200-smx"),
        ("chat", "deployment.gpu", ABSENT),
        ("chat", "deployment.gpus", 0),
        ("chat", "deployment.gpus", 10**18),
        ("chat", "deployment.gpus", 7.5),
        ("chat", "deployment.tpp", 4),
        ("chat", "deployment.micro_batch", 4),
        ("chat", "deployment.load", {"kind": "concurrency"}),
        ("chat", "deployment.load", {"kind": "saturated", "value": 4}),
        ("chat", "deployment.load", {"kind": "rate", "value": 4}),
        ("chat", "deployment.load", {"kind": "best_published"}),
        ("chat", "deployment.load", {"kind": "saturated", "arrival": "burst"}),
        ("chat", "deployment.load", {"kind": "concurrency", "value": 4, "arrival": "at once"}),
        ("chat", "deployment.engine", "trt-llm"),
        ("chat", "deployment.software_month", "2022-12"),
        ("chat", "deployment.software_month", "2031-01"),
        ("chat", "deployment.software_month", "2026-13"),
        ("chat", "deployment.software_month", "2026-03\n"),
        ("chat", "deployment.software_month", 202603),
        ("chat", "deployment.moe_tp", 0),
        ("chat", "deployment.prefill", {"tp": 4}),
        ("chat", "deployment.decode", {}),
        ("train", "deployment.prefill", {"tp": 4}),
        ("train", "deployment.engine", "vllm"),
        ("md", "deployment.software_month", "2026-03"),
        ("chat", "workload.engine", "triton"),
        ("chat", "deployment.server", "poweredge-nothing"),
        ("chat", "deployment.server", "poweredge-xe9780-b300"),
        ("train", "deployment.load", {"kind": "saturated"}),
        ("train", "deployment.recompute", "some"),
        ("md", "deployment.sharding", "zero1"),
        ("md", "workload.model", "llama-3.1-8b"),
        ("chat", "workload.model", "lama-3.1-8b"),
        ("train", "workload.precision", "int8"),
    ],
)
def test_a_wrong_deployment_is_422(name, path, value, acme: Speaker):
    answer = acme.post("/v1/estimates", changed(ALL[name], path, value))
    assert answer.status_code == 422, answer.text
    assert any(error["field"].startswith(path) for error in answer.json["errors"])


def test_every_unknown_name_is_told_in_one_answer(acme: Speaker):
    body = changed(changed(CHAT, "workload.model", "lama-3.1-8b"), "deployment.gpu", "b200-smx")
    answer = acme.post("/v1/estimates", changed(body, "deployment.server", "poweredge-nothing"))
    assert answer.status_code == 422
    told = [error["field"] for error in answer.json["errors"]]
    assert told == ["workload.model", "deployment.gpu", "deployment.server"]


@pytest.mark.parametrize(
    ("stated", "replicas", "idle"),
    [
        ({"gpus": 8, "tp": 8}, 1, 0),
        ({"gpus": 8, "tp": 4}, 2, 0),
        ({"gpus": 8, "tp": 4, "dp": 1}, 1, 4),
        ({"gpus": 8, "tp": 4, "replicas": 1}, 1, 4),
        ({"gpus": 8, "tp": 4, "dp": 2, "replicas": 2}, 2, 0),
        ({"gpus": 7, "tp": 4}, 1, 3),
        ({"gpus": 8, "tp": 2, "pp": 2, "ep": 1}, 2, 0),
    ],
)
def test_a_deployment_is_taken_at_its_word(stated, replicas, idle, acme: Speaker):
    answer = acme.post("/v1/estimates", {**CHAT, "deployment": {"gpu": "b200-sxm", **stated}})
    assert answer.status_code == 200, answer.text
    layout = answer.json["layout"]
    assert (layout["tp"], layout["pp"], layout["ep"]) == (stated["tp"], stated.get("pp", 1), 1)
    assert (answer.json["gpus"], answer.json["replicas"]) == (stated["gpus"], replicas)
    said = [entry["value"] for entry in answer.json["assumed"] if entry["field"] == "deployment.gpus"]
    assert said == ([f"{idle} idle"] if idle else [])


@pytest.mark.parametrize(
    ("stated", "field", "limit"),
    [
        ({"gpus": 8, "tp": 7}, "tp", "32"),
        ({"gpus": 8, "tp": 4, "pp": 33}, "pp", "32"),
        ({"gpus": 2, "tp": 4}, "gpus", "4"),
        ({"gpus": 8, "tp": 4, "dp": 3}, "dp", "2"),
        ({"gpus": 8, "tp": 4, "replicas": 3}, "replicas", "2"),
        ({"gpus": 8, "tp": 4, "dp": 1, "replicas": 2}, "replicas", "1"),
        ({"gpus": 8, "tp": 4, "ep": 2}, "ep", "1"),
    ],
)
def test_a_deployment_that_contradicts_itself_is_422_with_the_limit(stated, field, limit, acme: Speaker):
    answer = acme.post("/v1/estimates", {**CHAT, "deployment": {"gpu": "b200-sxm", **stated}})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json["errors"]
    assert (error["field"], error["limit"]) == (f"deployment.{field}", limit)
    assert error["value"] == str(stated[field])


def disaggregated(**deployment):
    stated = {"gpu": "b200-sxm", "gpus": 8, "mode": "disaggregated", "load": {"kind": "concurrency", "value": 64}}
    return {**CHAT, "deployment": {**stated, **deployment}}


def test_pools_engine_and_month_of_a_disaggregated_deployment_are_taken(acme: Speaker):
    pool = {"instances": 1, "tp": 4, "ep": 1, "attention_dp": 1, "gpus": 4}
    body = disaggregated(prefill=pool, decode=pool, engine="vllm", software_month="2026-03", moe_tp=1)
    body["deployment"]["load"]["arrival"] = "burst"
    answer = acme.post("/v1/estimates", body)
    assert answer.status_code == 200, answer.text
    assert answer.json["mode"] == "disaggregated"


def test_an_unknown_field_of_a_pool_is_named(acme: Speaker):
    answer = acme.post("/v1/estimates", disaggregated(prefill={"tpp": 4}))
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json["errors"]] == ["deployment.prefill.tpp"]


def test_two_engines_in_one_estimate_are_422(acme: Speaker):
    both = changed(changed(CHAT, "workload.engine", "vllm"), "deployment.engine", "vllm")
    assert acme.post("/v1/estimates", both).status_code == 200
    answer = acme.post("/v1/estimates", changed(both, "deployment.engine", "sglang"))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json["errors"]
    assert (error["field"], error["value"], error["limit"]) == ("deployment.engine", "sglang", "vllm")


WITHIN = changed(CHAT, "deployment.load", {"kind": "highest_rate_within_slo"})


def test_the_highest_rate_within_an_slo_needs_one(acme: Speaker):
    answer = acme.post("/v1/estimates", WITHIN)
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["field"] == "workload.slo"
    assert "needs an slo" in error["message"]


@pytest.mark.parametrize(("tpot_ms", "met"), [(200.0, True), (0.01, False)])
def test_an_slo_that_no_rate_meets_is_said_to_be_missed(tpot_ms, met, acme: Speaker):
    estimate = acme.post("/v1/estimates", changed(WITHIN, "workload.slo", {"tpot_ms": tpot_ms})).json
    assert estimate["meets_slo"] is met
    assert ("no rate meets slo.tpot_ms of 0.01" in estimate["bottleneck"]) is not met


def test_without_an_slo_nothing_is_said_of_one(acme: Speaker):
    assert acme.post("/v1/estimates", CHAT).json["meets_slo"] is None


APART = changed(CHAT, "deployment", {"gpu": "b200-sxm", "gpus": 8, "mode": "disaggregated"})


@pytest.mark.parametrize("deployment", [{"gpus": 1}, {"gpus": 8, "tp": 8}, {"gpus": 8, "tp": 4, "dp": 1}])
def test_one_instance_is_not_two_pools(deployment, acme: Speaker):
    asked = changed(APART, "deployment", {"gpu": "b200-sxm", "mode": "disaggregated", **deployment})
    answer = acme.post("/v1/estimates", asked)
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["field"] in {"deployment.gpus", "deployment.dp"}
    assert "pools" in error["message"]


@pytest.mark.parametrize("stated", [{}, {"tp": 2}, {"replicas": 4}, {"decode": {"tp": 4}}])
def test_both_pools_of_a_disaggregated_deployment_are_named(stated, acme: Speaker):
    asked = changed(APART, "deployment", {**APART["deployment"], **stated})
    estimate = acme.post("/v1/estimates", asked).json
    pools = [estimate["prefill"], estimate["decode"]]
    assert all(pool["instances"] >= 1 for pool in pools)
    taken = sum(pool["instances"] * pool["tp"] * pool["pp"] * pool["attention_dp"] for pool in pools)
    assert 2 <= taken <= 8
    together = acme.post("/v1/estimates", CHAT).json
    assert (together["prefill"], together["decode"]) == (None, None)


@pytest.mark.parametrize("asked", [CHAT, APART, changed(CHAT, "deployment", {"gpu": "b200-sxm", "gpus": 8})])
def test_what_was_chosen_is_said_and_not_that_something_was(asked, acme: Speaker):
    asked = changed(changed(asked, "workload.weight_precision", "auto"), "workload.kv_precision", "auto")
    estimate = acme.post("/v1/estimates", asked).json
    told = {entry["field"]: entry["value"] for entry in estimate["assumed"]}
    assert not {"auto", "chosen"} & set(told.values())
    assert told["workload.weight_precision"] == estimate["weight_precision"]
    assert told["workload.kv_precision"] == estimate["kv_precision"]
    for degree in ("tp", "pp", "attention_dp", "ep"):
        field = f"deployment.{degree}"
        assert field not in told or told[field] == str(estimate["layout"][degree])


def test_a_tuning_on_sequences_beyond_the_context_is_422(acme: Speaker):
    tuned = changed(changed(TRAIN, "workload.method", "sft"), "workload.seq_len_tokens", 200_000)
    answer = acme.post("/v1/estimates", tuned)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["workload.seq_len_tokens"]
