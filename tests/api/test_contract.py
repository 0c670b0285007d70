"""Every answer is held against the OpenAPI document, and what the document does not promise is found."""

import copy
import json
from dataclasses import replace

import pytest
from flask import Flask, Response, jsonify

from tests.api.conftest import Speaker
from tests.api.test_estimates import ALL as ESTIMATES
from tests.contract import CheckedClient, Contract, Exchange, contract_of
from tests.schemas.requests import ALL, CHAT, SMALL_CHAT, changed

INLINE = {
    "layers": 2,
    "hidden": 64,
    "vocab": 1000,
    "mixers": [{"kind": "attention", "count": 2, "heads": 4, "kv_heads": 2, "head_dim": 16}],
    "ffns": [{"kind": "dense", "count": 2, "intermediate": 256}],
}


def exchange(answer) -> Exchange:
    return Exchange(
        method=answer.request.method,
        path=answer.request.path,
        status=answer.status_code,
        headers=answer.headers.copy(),
        body=answer.get_data(),
    )


@pytest.fixture
def finished(acme: Speaker, work) -> Exchange:
    """A run with its result, as it was answered."""
    posted = acme.post("/v1/workloads", SMALL_CHAT)
    work()
    return exchange(acme.get(posted.headers["Location"]))


def with_body(exchange: Exchange, change) -> Exchange:
    body = json.loads(exchange.body)
    change(body)
    return replace(exchange, body=json.dumps(body).encode())


BODIES = {
    "a member nobody described": lambda run: run.update(secret=1),
    "one deep inside": lambda run: run["result"]["options"][0]["layout"].update(zp=1),
    "one in a map of records": lambda run: next(iter(run["result"]["options"][0]["metrics"].values())).update(p99=1),
    "a member is missing": lambda run: run.pop("status"),
    "another type": lambda run: run.update(attempts="1"),
    "a value that is none of the list": lambda run: run.update(status="nearly"),
    "null where there is none": lambda run: run["result"].update(kind=None),
    "money as a number": lambda run: run["result"]["options"][0]["cost"].update(total_usd=1.5),
    "a time that is none": lambda run: run.update(created_at="yesterday"),
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_wrong_body_is_found(name, contract: Contract, finished: Exchange):
    assert contract.faults(finished) == []
    assert contract.faults(with_body(finished, BODIES[name]))


def test_a_wrong_answer_around_the_body_is_found(contract: Contract, finished: Exchange):
    def without(header):
        headers = finished.headers.copy()
        del headers[header]
        return replace(finished, headers=headers)

    def having(header, value):
        headers = finished.headers.copy()
        headers[header] = value
        return replace(finished, headers=headers)

    wrong = {
        "status 206 is not in the document": replace(finished, status=206),
        "header x-request-id is missing": without("X-Request-Id"),
        "header etag is missing": without("ETag"),
        "header x-secret is not in the document": having("X-Secret", "1"),
        "header retry-after: 'soon'": having("Retry-After", "soon"),
        "media type 'text/html'": having("Content-Type", "text/html"),
        "a body where": replace(finished, status=304),
        "the media type 'application/json' of no body": replace(finished, status=304, body=b""),
        "of a path or method that is not in the document": replace(finished, path="/v1/nowhere"),
        "status 200 of a path or method": replace(finished, method="DELETE"),
    }
    for fault, exchange in wrong.items():
        assert any(fault in found for found in contract.faults(exchange)), fault


def test_a_wrong_refusal_is_found(contract: Contract, acme: Speaker):
    refused = exchange(acme.get("/v1/runs/run_0"))
    assert contract.faults(refused) == []
    for change in (
        lambda problem: problem.update(extra=1),
        lambda problem: problem.pop("request_id"),
        lambda problem: problem.update(status=400),
        lambda problem: problem.update(type="/problems/conflict"),
        lambda problem: problem.update(errors=[{"field": "x"}]),
    ):
        assert contract.faults(with_body(refused, change))
    nowhere = exchange(acme.get("/v1/nowhere"))
    assert contract.faults(nowhere) == []
    assert contract.faults(with_body(nowhere, lambda problem: problem.update(extra=1)))
    assert contract.faults(replace(nowhere, body=b"{}"))
    wrong_method = exchange(acme.client.delete("/v1/runs"))
    assert contract.faults(wrong_method) == []
    wrong_method.headers.pop("Allow")
    assert contract.faults(wrong_method) == ["405 without Allow"]


def test_every_client_of_an_application_checks(own_app: Flask):
    client = own_app.test_client()
    assert isinstance(client, CheckedClient)
    assert client.get("/healthz").status_code == 200
    own_app.view_functions["health.get_health"] = lambda: jsonify(status="alive", mood="fine")
    with pytest.raises(AssertionError, match="'mood' was unexpected"):
        client.get("/healthz")
    own_app.view_functions["health.get_health"] = lambda: Response(status=204)
    with pytest.raises(AssertionError, match="status 204 is not in the document"):
        client.get("/healthz")


def test_head_answers_like_get_without_a_body(acme: Speaker):
    headers = {"Authorization": f"Bearer {acme.token}"}
    for path in ("/healthz", "/openapi.json", "/v1/runs", "/v1/catalog/gpus/b200-sxm"):
        answer = acme.client.head(path, headers=headers)
        assert answer.status_code == 200
        assert answer.data == b""


@pytest.mark.parametrize("name", ALL)
def test_the_walk_of_each_kind_is_as_described(name, contract: Contract, acme: Speaker, work):
    body = "#/paths/~1v1~1workloads/post/requestBody/content/application~1json/schema"
    assert list(contract.body_faults(ALL[name], body)) == []
    posted = acme.post("/v1/workloads", ALL[name])
    acme.get(posted.headers["Location"])
    work()
    assert acme.get(posted.headers["Location"]).json["status"] == "done"
    acme.get(f"/v1/runs/{posted.json['id']}/options/1/working")
    acme.get(f"/v1/runs/{posted.json['id']}/diff/{posted.json['id']}")
    acme.get(f"/v1/workloads/{posted.json['workload_id']}")
    acme.get(f"/v1/workloads/{posted.json['workload_id']}/runs")
    assert acme.post("/v1/workloads", ALL[name], Prefer="wait=1").status_code == 200


def test_a_model_of_ones_own_is_as_described(acme: Speaker, work):
    posted = acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.model", INLINE))
    work()
    assert acme.get(posted.headers["Location"]).status_code == 200
    assert acme.get(f"/v1/workloads/{posted.json['workload_id']}").json["workload"]["model"]["layers"] == 2


def test_nothing_fits_is_as_described(acme: Speaker, work):
    posted = acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.slo", {"ttft_ms": 1, "tpot_ms": 0.1}))
    work()
    assert acme.get(posted.headers["Location"]).json["feasible"] is False


@pytest.mark.parametrize(
    "resource", ["gpus", "servers", "cpu-servers", "networks", "storage", "racks", "models", "applications"]
)
def test_the_catalog_is_as_described(resource, acme: Speaker):
    page = acme.get(f"/v1/catalog/{resource}?limit=500").json
    assert page["items"]
    for record in page["items"]:
        one = acme.get(f"/v1/catalog/{resource}/{record['id']}")
        assert one.json["facts"] == record["facts"]
    assert acme.get(one.request.path, If_None_Match=one.headers["ETag"]).status_code == 304
    assert acme.get(f"/v1/catalog/{resource}/nothing").status_code == 404


@pytest.mark.parametrize("name", ESTIMATES)
def test_estimates_are_as_described(name, contract: Contract, acme: Speaker):
    body = "#/paths/~1v1~1estimates/post/requestBody/content/application~1json/schema"
    assert list(contract.body_faults(ESTIMATES[name], body)) == []
    assert acme.post("/v1/estimates", ESTIMATES[name]).status_code == 200
    spoiled = copy.deepcopy(CHAT)
    spoiled["workload"]["isl_tokens"] = 0
    assert list(contract.body_faults(spoiled, body))


def test_the_document_is_read_once_for_each_application(app: Flask, own_app: Flask):
    assert contract_of(app) is contract_of(app)
    assert contract_of(app) is not contract_of(own_app)


def value_of(expression: str, answer) -> str:
    """What a runtime expression of a link stands for, beside a constant."""
    if expression.startswith("$request.path."):
        return answer.request.path.split("/")[3]
    if not expression.startswith("$response.body#/"):
        return expression
    node = answer.json
    for part in expression.removeprefix("$response.body#/").split("/"):
        node = node[int(part)] if part.isdigit() else node[part]
    return node


def test_every_link_can_be_followed(contract: Contract, acme: Speaker, work):
    for users in (5, 6):
        last = acme.post("/v1/workloads", changed(CHAT, "workload.demand.users", users))
        work()
    again = acme.post("/v1/workloads", changed(CHAT, "workload.demand.users", users))
    assert (last.status_code, again.status_code) == (202, 200)
    run = last.json["id"]
    paths = ["/v1/runs?limit=1", "/v1/workloads?limit=1", f"/v1/workloads/{last.json['workload_id']}"]
    paths += [f"/v1/runs/{run}", f"/v1/runs/{run}/options/1/working", f"/v1/runs/{run}/diff/{again.json['id']}"]
    paths += [f"/v1/catalog/{resource}?limit=1" for resource in ("gpus", "servers", "models", "applications")]
    addresses = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in contract.document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }
    followed = set()
    for answer in (last, again, *(acme.get(path) for path in paths)):
        template = contract.template(answer.request.path)
        operation = contract.document["paths"][template][answer.request.method.lower()]
        for link in operation["responses"][str(answer.status_code)]["links"].values():
            method, path = addresses[link["operationId"]]
            query = {}
            for name, expression in link["parameters"].items():
                if f"{{{name}}}" in path:
                    path = path.replace(f"{{{name}}}", value_of(expression, answer))
                else:
                    query[name] = value_of(expression, answer)
            if method != "GET":
                continue
            headers = {"Authorization": f"Bearer {acme.token}"}
            assert acme.client.get(path, query_string=query, headers=headers).status_code == 200, (path, query)
            followed.add(link["operationId"])
    assert followed >= {"getRun", "getWorkload", "listWorkloadRuns", "getOptionWorking", "getRunDifference", "getGpu"}
    assert followed >= {"listRuns", "listWorkloads", "listGpus", "getApplication"}


@pytest.mark.parametrize(
    ("field", "value", "fits"),
    [
        ("demand", {"concurrency": 4}, True),
        ("demand", {"concurrency": 4, "users": None}, True),
        ("demand", {"concurrency": 4, "users": 5}, False),
        ("demand", {"peak_factor": 3}, False),
        ("demand", {}, False),
        ("slo", None, True),
        ("slo", {"ttft_ms": 9000, "tpot_ms": None}, True),
        ("slo", {"percentile": 90}, False),
    ],
)
def test_what_only_a_whole_object_can_be_wrong_in_is_in_the_document_too(
    field, value, fits, contract: Contract, acme: Speaker
):
    body = changed(SMALL_CHAT, f"workload.{field}", value)
    schema = "#/paths/~1v1~1workloads/post/requestBody/content/application~1json/schema"
    assert (list(contract.body_faults(body, schema)) == []) is fits
    assert (acme.post("/v1/workloads", body).status_code == 202) is fits
