"""Every type that a problem document carries leads to its page: for people, for programs, for nobody in particular."""

from html.parser import HTMLParser
from http import HTTPStatus

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException, default_exceptions

from service.api.problems import page_of
from service.edge.blueprint import ResourceBlueprint
from service.edge.meanings import MEANINGS, ProblemKind
from service.edge.problems import STATUS, problem_kinds

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in {"src", "href", "style"}]

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def type_of(own_app: Flask):
    """The type of the problem document that an exception becomes, and its status."""
    raised: list[BaseException] = []
    blueprint = ResourceBlueprint("broken", __name__, permission=None)

    def view():
        raise raised.pop()

    blueprint.add_url_rule("/broken", "broken", view)
    own_app.register_blueprint(blueprint)

    def provoke(error: BaseException) -> dict:
        raised.append(error)
        return own_app.test_client().get("/broken").json

    return provoke


def standard_error(status: int) -> HTTPException:
    return type("Standard", (HTTPException,), {"code": status, "description": "as the standard has it"})()


EVERYTHING = [
    *(kind("the way out") for kind in STATUS),
    *(standard_error(status) for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST),
    *(standard_error(status) for status in default_exceptions),
    RuntimeError("nobody expected this"),
]


def test_every_emitted_type_resolves(type_of, own_app: Flask, check):
    seen = set()
    for error in EVERYTHING:
        problem = type_of(error)
        seen.add(problem["type"])
        answer = own_app.test_client().get(problem["type"], headers={"Accept": "application/json"})
        assert answer.status_code == 200, problem["type"]
        kind = check(answer)
        assert (kind["type"], kind["title"]) == (problem["type"], problem["title"])
        assert kind["status"] == (500 if kind["type"] == "/problems/internal-error" else problem["status"])
        assert all(kind[part].endswith(".") for part in ("meaning", "cause", "way_out")), kind
    assert seen == {f"/problems/{code.replace('_', '-')}" for code in problem_kinds()}


def test_every_error_of_ours_has_words_of_its_own_and_no_words_are_left_over():
    assert {kind.code for kind in STATUS} <= MEANINGS.keys()
    assert MEANINGS.keys() <= problem_kinds().keys()


@pytest.mark.parametrize("code", MEANINGS)
def test_a_browser_gets_a_page_without_anything_active(code, app: Flask):
    answer = app.test_client().get(f"/problems/{code.replace('_', '-')}", headers={"Accept": HTML})
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert answer.content_type == "text/html; charset=utf-8"
    read = Tags(answer.text)
    assert set(read.tags) == {"html", "head", "meta", "title", "body", "main", "h1", "h2", "p", "code"}
    for part in (MEANINGS[code].meaning, MEANINGS[code].cause, MEANINGS[code].way_out):
        assert part in read.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; base-uri 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Accept" in answer.headers["Vary"]


def test_words_are_escaped():
    hostile = '<script>alert("x")</script>'
    page = page_of(ProblemKind(type=hostile, title=hostile, status=1, meaning=hostile, cause=hostile, way_out=hostile))
    assert "<script" not in page
    assert Tags(page).text.count(hostile) == 6


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("text/html", "text/html"),
        ("*/*", "text/html"),
        ("application/problem+json", "text/html"),
        (None, "text/html"),
    ],
)
def test_accept_decides(accept, mimetype, app: Flask):
    headers = {} if accept is None else {"Accept": accept}
    answer = app.test_client().get("/problems/conflict", headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, mimetype)


def test_what_is_neither_is_406(app: Flask, check):
    answer = app.test_client().get("/problems/conflict", headers={"Accept": "image/png"})
    assert check(answer)["status"] == 406


@pytest.mark.parametrize("slug", ["nothing", "not_found", "Conflict", "%3Cscript%3E", "x" * 5000, ".."])
def test_an_unknown_kind_is_404_whoever_asks(slug, app: Flask):
    for accept in ("application/json", HTML):
        answer = app.test_client().get(f"/problems/{slug}", headers={"Accept": accept})
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_the_document_has_both_representations(document):
    content = document["paths"]["/problems/{slug}"]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/html"}


def test_each_form_has_a_tag_of_its_own(app: Flask):
    client = app.test_client()
    tags = {}
    for accept in ("application/json", HTML):
        answer = client.get("/problems/conflict", headers={"Accept": accept})
        tags[accept] = answer.headers["ETag"]
        again = client.get("/problems/conflict", headers={"Accept": accept, "If-None-Match": tags[accept]})
        assert (again.status_code, again.data) == (304, b"")
        for name in ("ETag", "Vary", "Cache-Control"):
            assert again.headers[name] == answer.headers[name]
        assert answer.headers["Vary"] == "Accept"
    for accept, other in (("application/json", HTML), (HTML, "application/json")):
        answer = client.get("/problems/conflict", headers={"Accept": accept, "If-None-Match": tags[other]})
        assert answer.status_code == 200
    assert client.get("/problems/not-found", headers={"If-None-Match": tags[HTML]}).status_code == 200
