"""What an inference workload cannot have: each bad question is answered with its bound, its reason or its limit."""

import pytest

from tests.api.conftest import Speaker

CHAT = {
    "workload": {
        "kind": "inference",
        "model": "llama-3.3-70b",
        "isl_tokens": 2000,
        "osl_tokens": 300,
        "demand": {"requests_s": 5},
        "slo": {"ttft_ms": 3000, "tpot_ms": 40},
    }
}


def asked(**changes: object) -> dict[str, object]:
    return {"name": "chat", "workload": {**CHAT["workload"], **changes}}


def answered(acme: Speaker, work, body: dict[str, object]) -> dict:
    run = acme.post("/v1/workloads", body)
    assert run.status_code == 202, run.json
    work()
    done = acme.get(f"/v1/runs/{run.json['id']}").json
    assert done["status"] == "done"
    return done


def test_a_bound_that_no_hardware_meets_is_named_with_the_best_that_is_reached(acme: Speaker, work):
    done = answered(acme, work, asked(slo={"tpot_ms": 0.01}))
    result = done["result"]
    assert done["feasible"] is result["feasible"] is False
    assert result["options"] == []
    missed = result["shortfall"]
    assert (missed["limit"], missed["required"], missed["unit"]) == ("tpot_ms", 0.01, "ms")
    assert missed["best"] > 0.01
    assert f"workload.slo.tpot_ms of {missed['best']:g}" in missed["relaxation"]
    again = answered(acme, work, asked(slo={"tpot_ms": missed["best"]}))
    assert again["feasible"]


@pytest.mark.parametrize(("isl", "osl"), [(131_072, 1), (100_000, 40_000), ({"mean": 10_000, "p95": 199_000}, 10)])
def test_a_context_longer_than_the_model_s_is_422(acme: Speaker, isl, osl):
    refused = acme.post("/v1/workloads", asked(isl_tokens=isl, osl_tokens=osl))
    assert refused.status_code == 422
    assert "131,072" in refused.json["detail"]
    assert refused.json["errors"][0]["limit"] == "131072"
    fixed = {"model": "llama-3.3-70b", "kind": "inference", "isl_tokens": isl, "osl_tokens": osl}
    body = {"workload": fixed, "deployment": {"gpu": "b200", "gpus": 8}}
    assert acme.post("/v1/estimates", body).status_code == 422


def test_a_precision_that_a_gpu_lacks_is_rejected_and_never_replaced(acme: Speaker, work):
    body = asked(weight_precision="int8") | {"constraints": {"allowed_gpus": ["b200", "rtx-pro-4500"]}}
    result = answered(acme, work, body)["result"]
    assert {(option["gpu"], option["weight_precision"]) for option in result["options"]} == {("b200-sxm", "int8")}
    lacking = [r for r in result["rejected"] if r["limit"] == "precision"]
    assert {r["detail"] for r in lacking} == {"rtx-pro-4500-se does not multiply int8"}
    body["constraints"] = {"allowed_gpus": ["rtx-pro-4500"]}
    alone = answered(acme, work, body)["result"]
    assert not alone["feasible"]
    assert alone["shortfall"]["limit"] == "precision"
    assert "does not multiply int8" in alone["shortfall"]["relaxation"]


def test_a_precision_that_a_gpu_is_slower_in_than_in_16_bit_is_rejected_with_both_rates(acme: Speaker, work):
    body = asked(weight_precision="int8") | {"constraints": {"allowed_gpus": ["b200", "b300"]}}
    result = answered(acme, work, body)["result"]
    assert {option["gpu"] for option in result["options"]} == {"b200-sxm"}
    slow = {r["detail"] for r in result["rejected"] if r["limit"] == "precision"}
    assert slow == {"b300-sxm multiplies int8 at 153.5 TFLOPS, more slowly than 16 bit at 2,250"}


@pytest.mark.parametrize("model", ["whisper-large-v3", "black-forest-labs/FLUX.1-dev", "Wan2.1-T2V-14B"])
def test_a_model_of_another_kind_is_422_and_said_to_be_one(acme: Speaker, model: str):
    refused = acme.post("/v1/workloads", asked(model=model))
    assert refused.status_code == 422
    assert refused.json["errors"][0]["field"] == "workload.model"
    assert "Headroom sizes language models" in refused.json["detail"]
