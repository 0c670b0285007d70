"""What a route does not take in its query is refused, on every route and in the same way."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from service.access import Role
from tests.api.conftest import Speaker
from tests.schemas.requests import SMALL_CHAT

# A route that nobody described would not be here; tests/api/test_document.py finds those.
PLACES = {"asset": "start.js", "slug": "not-found"}


def operations(document) -> Iterator[tuple[str, str]]:
    for path, methods in document["paths"].items():
        for method in methods.keys() - {"parameters"}:
            yield method.upper(), re.sub(r"\{(\w+)\}", lambda name: PLACES.get(name[1], "x_1"), path)


def ask(speaker: Speaker, method: str, path: str, **options) -> TestResponse:
    headers = {"Authorization": f"Bearer {speaker.token}"}
    return speaker.client.open(path, method=method, headers=headers, **options)


def test_every_route_refuses_what_it_does_not_take(admin: Speaker, speaker, document, check):
    operator = speaker("acme", Role.OPERATOR)
    asked = list(operations(document))
    assert len(asked) > 30
    for method, path in asked:
        body = {"json": SMALL_CHAT} if method in {"POST", "PUT"} else {}
        # Dead letters are for those who run the installation.
        asker = operator if path == "/v1/dead-letters" else admin
        answer = ask(asker, method, f"{path}?colour=red", **body)
        assert answer.status_code == 422, (method, path, answer.text)
        told = check(answer)
        assert told["type"] == "/problems/invalid-request", path
        [error] = told["errors"]
        assert error["field"] == "colour", path
        assert error["message"].startswith("There is no such field"), path
    assert admin.get("/v1/workloads").json == {"items": []}


def test_every_route_says_so_in_the_document(document):
    for path, methods in document["paths"].items():
        for method in methods.keys() - {"parameters"}:
            assert "422" in methods[method]["responses"], (method, path)
    assert "**Queries.**" in document["info"]["description"]


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/workloads", "/v1/audit-events", "/v1/catalog/gpus"])
def test_a_list_says_what_was_probably_meant(path, admin: Speaker):
    [error] = admin.get(f"{path}?lmit=5").json["errors"]
    assert (error["field"], error["did_you_mean"]) == ("lmit", ["limit"])


def test_a_run_that_was_read_before_is_refused_too(acme: Speaker, work):
    """The short way answers no query."""
    posted = acme.post("/v1/workloads", SMALL_CHAT)
    work()
    place = posted.headers["Location"]
    for _ in range(2):
        assert acme.get(place).status_code == 200
        assert acme.get(f"{place}?full=true").json["errors"][0]["field"] == "full"
    assert acme.post("/v1/workloads?wait=5", SMALL_CHAT).status_code == 422


def test_who_has_no_key_hears_of_the_key_first(app: Flask):
    assert app.test_client().get("/v1/runs/run_1?x=1").status_code == 401


def test_a_flood_is_told_in_part(acme: Speaker):
    flood = "&".join(f"k{n}=1" for n in range(500))
    assert len(acme.get(f"/v1/runs/run_1?{flood}").json["errors"]) == 50


@pytest.mark.parametrize("query", ["", "?", "?&"])
def test_an_empty_query_is_none(query, app: Flask):
    assert app.test_client().get(f"/healthz{query}").status_code == 200


def test_the_version_of_a_file_of_the_page_is_taken(app: Flask, document):
    client = app.test_client()
    assert client.get("/docs/start.js?v=0123456789abcdef").status_code == 200
    [error] = client.get("/docs/start.js?w=1").json["errors"]
    assert error["field"] == "w"
    parameters = document["paths"]["/docs/{asset}"]["get"]["parameters"]
    assert [each["name"] for each in parameters if each["in"] == "query"] == ["v"]
