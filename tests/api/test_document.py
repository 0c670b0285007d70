"""The OpenAPI document: whole, described, true - every answer of every route validates against it."""

from http import HTTPStatus

import pytest
from flask import Flask

from tests.api.conftest import Speaker
from tests.api.json_schema import faults, resolve
from tests.api.test_estimates import ALL as ESTIMATES
from tests.schemas.requests import ALL, CHAT, SMALL_CHAT, changed

PROBLEM = "#/components/schemas/Problem"
INLINE = {
    "layers": 2,
    "hidden": 64,
    "vocab": 1000,
    "mixers": [{"kind": "attention", "count": 2, "heads": 4, "kv_heads": 2, "head_dim": 16}],
    "ffns": [{"kind": "dense", "count": 2, "intermediate": 256}],
}


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield path, method, operation


def walk(node):
    yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from walk(child)


def test_it_is_openapi_3_1_and_whole(document):
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Headroom"
    for node in walk(document):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            assert resolve(node["$ref"], document)
    for node in walk(document):
        for target in node.get("mapping", {}).values() if isinstance(node, dict) and "propertyName" in node else ():
            assert resolve(target, document)


def test_every_route_is_in_it_and_every_route_in_it_is_served(app: Flask, document):
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, method, _ in operations(document)} == served - {("/openapi.json", "get")}


def test_every_operation_has_an_id_of_its_own_and_a_summary(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert all(operation["summary"] for _, _, operation in operations(document))


def test_errors_are_problem_documents(document):
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            if "$ref" not in response or int(status) < HTTPStatus.BAD_REQUEST:
                continue
            content = resolve(response["$ref"], document)["content"]
            assert content == {"application/problem+json": {"schema": {"$ref": PROBLEM}}}, (path, status)


def test_every_route_says_whether_it_needs_a_key(document):
    for path, _, operation in operations(document):
        assert operation["security"] == ([{"key": []}] if path.startswith("/v1/") else []), path
        assert ("401" in operation["responses"]) == path.startswith("/v1/")
        assert ("404" in operation["responses"]) == ("{" in path)
        assert ("413" in operation["responses"]) == ("requestBody" in operation)


def test_every_path_parameter_is_described(document):
    for path, methods in document["paths"].items():
        named = {parameter["name"] for parameter in methods.get("parameters", []) if parameter["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_every_field_has_a_word_and_every_object_is_closed(document):
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema["properties"].items():
            assert described.get("description"), f"{name}.{field}"
        assert schema["additionalProperties"] is False, name


def test_nothing_of_this_machine_is_in_it(document):
    text = str(document)
    assert "/main/" not in text
    assert "localhost" not in text


@pytest.mark.parametrize("name", ALL)
def test_the_walk_of_each_kind_is_as_described(name, document, check, acme: Speaker, work):
    request = document["paths"]["/v1/workloads"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(faults(ALL[name], request, document)) == []
    posted = acme.post("/v1/workloads", ALL[name])
    check(posted)
    check(acme.get(posted.headers["Location"]))
    work()
    assert check(acme.get(posted.headers["Location"]))["status"] == "done"
    check(acme.get("/v1/runs"))
    check(acme.get("/v1/workloads"))
    check(acme.get(f"/v1/workloads/{posted.json['workload_id']}"))
    check(acme.get(f"/v1/workloads/{posted.json['workload_id']}/runs"))
    again = acme.post("/v1/workloads", ALL[name], Prefer="wait=1")
    assert again.status_code == 200
    check(again)


def test_a_model_of_ones_own_is_as_described(check, acme: Speaker, work):
    posted = acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.model", INLINE))
    check(posted)
    work()
    check(acme.get(posted.headers["Location"]))
    check(acme.get(f"/v1/workloads/{posted.json['workload_id']}"))


def test_nothing_fits_is_as_described(check, acme: Speaker, work):
    posted = acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.slo", {"ttft_ms": 1, "tpot_ms": 0.1}))
    work()
    assert check(acme.get(posted.headers["Location"]))["feasible"] is False


def test_refusals_are_as_described(check, acme: Speaker):
    check(acme.post("/v1/workloads", changed(CHAT, "workload.isl_tokens", 0)))
    check(acme.post("/v1/workloads", changed(CHAT, "workload.model", "lama-3-70b")))
    check(acme.post("/v1/workloads", data=b"{"))
    check(acme.post("/v1/workloads", data=b" " * 2_000_000))
    check(acme.post("/v1/workloads", data=b"{}", content_type="text/plain"))
    check(acme.get("/v1/runs/run_0"))
    check(acme.get("/v1/runs?limit=0"))
    check(acme.get("/v1/runs", Accept="text/html"))
    check(acme.client.get("/v1/runs"))


@pytest.mark.parametrize("resource", ["gpus", "servers", "networks", "storage", "racks", "models", "applications"])
def test_the_catalog_is_as_described(resource, check, acme: Speaker):
    page = check(acme.get(f"/v1/catalog/{resource}?limit=500"))
    assert page["items"]
    for record in (page["items"][0], page["items"][-1]):
        one = acme.get(f"/v1/catalog/{resource}/{record['id']}")
        assert check(one)["facts"] == record["facts"]
    check(acme.get(one.request.path, If_None_Match=one.headers["ETag"]))
    check(acme.get(f"/v1/catalog/{resource}/nothing"))


def test_health_is_as_described(check, app: Flask):
    check(app.test_client().get("/healthz"))
    check(app.test_client().get("/readyz"))


def test_the_checker_bites(document):
    schema = {"$ref": "#/components/schemas/Problem"}
    good = {
        "type": "/problems/x", "title": "t", "status": 400, "detail": "d", "instance": "/", "request_id": "r",
        "errors": [],
    }  # fmt: skip
    assert list(faults(good, schema, document)) == []
    for bad in ({**good, "status": "400"}, {**good, "extra": 1}, {"type": "x"}, {**good, "errors": [{"field": 1}]}):
        assert list(faults(bad, schema, document))


@pytest.mark.parametrize("name", ESTIMATES)
def test_estimates_are_as_described(name, document, check, acme: Speaker):
    request = document["paths"]["/v1/estimates"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(faults(ESTIMATES[name], request, document)) == []
    answer = acme.post("/v1/estimates", ESTIMATES[name])
    assert answer.status_code == 200
    check(answer)
