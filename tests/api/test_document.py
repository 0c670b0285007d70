"""The OpenAPI document: whole, in words, bounded, and with an example of everything it shows."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from config.environment import ROOT
from service.api import BLUEPRINTS
from service.edge.answers import OrjsonProvider
from service.edge.document import describe, make_api
from service.edge.pages import is_page_endpoint
from service.schemas.science import APPLICATION_TEMPLATES
from tests.contract import PROBLEM, PROBLEM_MEDIA_TYPE, Contract, pointed

BODY_LIMIT = "413"
OPEN = {"/healthz", "/readyz", "/docs", "/docs/{asset}", "/metrics", "/openapi.json", "/problems/{slug}"}
# Headers whose length HTTP does not bound, and which are never refused for it.
OF_HTTP = {"If-Match", "If-None-Match", "Prefer"}
# Their bodies name objects of the caller's: another tenant's looks like none.
NAMING = {("/v1/quotes", "post")}
# A caller's own words: nothing can be said about what is in them.
FREE_FORM = {"The contents of a Hugging Face config.json.", "An OpenAPI 3.1 document."}


def operations(document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield path, method, operation


def walk(node, place: str = "#") -> Iterator[tuple[str, Any]]:
    yield place, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in items:
        # What an example holds is data, not description.
        if name not in {"examples", "example", "value"} or "properties" in place.rsplit("/", 1)[-1:]:
            yield from walk(child, f"{place}/{name}")


def parameters(document) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for parameter in methods.get("parameters", []):
            yield path, parameter
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", []):
            yield f"{method} {path}", parameter


def answers(contract: Contract) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for _, _, operation in operations(contract.document):
        for status, response in operation["responses"].items():
            yield operation["operationId"], status, contract.resolve(response)


def test_what_an_earlier_process_has_kept_is_what_this_one_would_say(document):
    app = Flask(__name__)
    app.json = OrjsonProvider(app)
    api = make_api(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    said = describe(api, examples=ROOT / "config" / "examples")
    assert json.loads(app.json.dumps(said)) == document


def test_it_is_valid_openapi_3_1(document):
    assert [error.message for error in Draft202012Validator(OPENAPI_31).iter_errors(document)] == []
    for place, node in walk(document):
        if place.endswith("/schema") or re.fullmatch("#/components/schemas/[^/]+", place):
            Draft202012Validator.check_schema(node)


def test_no_reference_leads_nowhere(document):
    for _, node in walk(document):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            assert pointed(document, node["$ref"])
        for target in node.get("mapping", {}).values() if isinstance(node, dict) and "propertyName" in node else ():
            assert pointed(document, target)


def test_every_route_is_in_it_and_every_route_in_it_is_served(app: Flask, document):
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        if not is_page_endpoint(rule.endpoint)
        for method in rule.methods - {"HEAD"}
    }
    assert {(path, method) for path, method, _ in operations(document)} == served


def test_every_operation_has_an_id_of_its_own_a_summary_and_a_tag_with_words(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, _, operation in operations(document):
        assert operation["summary"].endswith("."), path
        assert set(operation["tags"]) <= tags, path
        assert operation["tags"], path


def test_the_conventions_are_told(document):
    told = document["info"]["description"]
    for convention in ("Errors", "Authentication", "Idempotency", "Conditional requests", "Paging", "Rate limits"):
        assert f"**{convention}.**" in told
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


BOUNDS = {"integer": {"minimum", "maximum"}, "string": {"maxLength"}, "boolean": set(), "array": {"maxItems"}}


def test_every_parameter_has_words_a_type_and_bounds(document):
    found = list(parameters(document))
    assert len(found) > 40
    for place, parameter in found:
        where = f"{place} {parameter['name']}"
        schema = parameter["schema"]
        assert parameter["description"].endswith("."), where
        assert isinstance(schema["type"], str), where
        for part in (schema, schema.get("items", {"type": "boolean"})):
            bounded = BOUNDS[part["type"]] <= set(part) or {"enum", "format"} & set(part)
            assert bounded or parameter["name"] in OF_HTTP, where


def test_errors_are_problem_documents_of_their_status_with_an_example_of_each_type(contract: Contract):
    seen = 0
    for name, status, response in answers(contract):
        if int(status) < 400 or (name, status) == ("getReadiness", "503"):
            continue
        ((media_type, content),) = response["content"].items()
        assert media_type == PROBLEM_MEDIA_TYPE, (name, status)
        reference, narrowed = content["schema"]["allOf"]
        assert reference == {"$ref": PROBLEM}
        assert narrowed["properties"]["status"] == {"const": int(status)}
        types = narrowed["properties"]["type"]["enum"]
        assert [example["value"]["type"] for example in content["examples"].values()] == types
        assert response["description"]
        seen += 1
    assert seen > 100


def test_every_answer_promises_the_headers_of_its_status(contract: Contract):
    for name, status, response in answers(contract):
        headers = {key for key, header in response["headers"].items() if header.get("required")}
        assert "X-Request-Id" in headers, (name, status)
        needed = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After", "304": "ETag"}
        assert needed.get(status, "X-Request-Id") in headers, (name, status)
        if status == "202":
            assert {"Location", "Retry-After"} <= headers, name
        for key, header in response["headers"].items():
            assert header["description"], (name, status, key)
            assert header["schema"]["type"], (name, status, key)


def test_every_route_says_whether_it_needs_a_key(document):
    for path, method, operation in operations(document):
        needs_key = path not in OPEN
        assert operation["security"] == ([{"key": []}] if needs_key else []), path
        assert {"401", "403"} <= set(operation["responses"]) or not needs_key, path
        assert ("404" in operation["responses"]) == ("{" in path or (path, method) in NAMING), path
        assert (BODY_LIMIT in operation["responses"]) == ("requestBody" in operation), path


def test_every_field_has_a_word(document):
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field}"


def test_every_object_is_closed(document):
    for place, node in walk(document):
        if not isinstance(node, dict) or "/headers/" in place:
            continue
        if "properties" in node and "type" in node:
            assert node["additionalProperties"] is False, place
        elif node.get("type") == "object" and node.get("description") not in FREE_FORM:
            assert isinstance(node["additionalProperties"], dict), place


def test_a_workload_is_discriminated_by_kind_and_science_by_application(document):
    schemas = document["components"]["schemas"]
    for of_kind, of_application in (
        ("WorkloadOfAnyKind", "ScienceWorkload"),
        ("WorkloadWithoutDemand", "ScienceWithoutDemand"),
    ):
        by_kind = schemas[of_kind]["discriminator"]
        assert by_kind["propertyName"] == "kind"
        assert set(by_kind["mapping"]) == {"inference", "training", "science"}
        assert by_kind["mapping"]["science"] == f"#/components/schemas/{of_application}"
        by_application = schemas[of_application]["discriminator"]
        assert by_application["propertyName"] == "application"
        assert set(by_application["mapping"]) == set(APPLICATION_TEMPLATES)
        for schema, discriminator in ((schemas[of_kind], by_kind), (schemas[of_application], by_application)):
            assert {reference["$ref"] for reference in schema["oneOf"]} == set(discriminator["mapping"].values())
        for application, target in by_application["mapping"].items():
            assert application in pointed(document, target)["properties"]["application"]["enum"]


@pytest.mark.parametrize("status", ["200", "202"])
def test_a_posted_workload_leads_to_everything_about_its_run(status, document):
    links = document["paths"]["/v1/workloads"]["post"]["responses"][status]["links"]
    assert {link["operationId"] for link in links.values()} >= {
        "getRun",
        "getWorkload",
        "listWorkloadRuns",
        "getOptionWorking",
        "getRunDifference",
    }


def test_every_link_gives_what_its_operation_needs(document):
    by_id = {operation["operationId"]: (path, operation) for path, _, operation in operations(document)}
    of_path = dict.fromkeys(document["paths"], ())
    of_path.update({path: methods.get("parameters", []) for path, methods in document["paths"].items()})
    seen = 0
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                path, target = by_id[link["operationId"]]
                known = {parameter["name"] for parameter in (*of_path[path], *target.get("parameters", []))}
                needed = {parameter["name"] for parameter in of_path[path]}
                assert needed <= set(link["parameters"]) <= known
                seen += 1
    assert seen > 30


def test_every_list_leads_to_its_next_page_and_to_an_item(document):
    for path, _, operation in operations(document):
        if any(parameter["name"] == "cursor" for parameter in operation.get("parameters", [])):
            links = operation["responses"]["200"]["links"]
            assert links["next"]["operationId"] == operation["operationId"], path
            assert set(links) - {"next"}, path


def test_nothing_of_this_machine_is_in_it(document):
    text = str(document)
    assert "/main/" not in text
    assert "localhost" not in text


def test_every_single_resource_has_a_tag_and_answers_304(document):
    """Lists are not single, and a state of this moment is no resource that somebody keeps."""
    of_the_moment = {"getHealth", "getReadiness", "getMetrics", "getSchedulePreview"}
    single = [
        operation
        for _, method, operation in operations(document)
        if method == "get"
        and operation["operationId"].startswith("get")
        and operation["operationId"] not in of_the_moment
    ]
    assert len(single) > 10
    for operation in single:
        name = operation["operationId"]
        assert "ETag" in operation["responses"]["200"]["headers"], name
        assert "ETag" in operation["responses"]["304"]["headers"], name
        assert "If-None-Match" in {parameter.get("name") for parameter in operation["parameters"]}, name
