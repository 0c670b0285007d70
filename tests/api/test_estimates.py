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


def test_more_gpus_than_a_layout_can_use_is_said(acme: Speaker):
    answer = acme.post("/v1/estimates", changed(changed(CHAT, "deployment.tp", 7), "deployment.gpus", 8))
    assert answer.status_code in {200, 422}
    if answer.status_code == 422:
        assert answer.json["detail"]
