"""The ledger finds what is wrong with an answer, a document, an event or a run as it comes."""

import dataclasses
import io
import json

import pytest
import typst
import xlsxwriter

from scripts.faulting.ledger import Answer, Job


@pytest.fixture
def ledger(ledger):
    ledger.canaries |= {"acme": b"canary-a", "bolt": b"canary-b"}
    return ledger


def heard(status=200, body=b"{}", content_type="application/json", **headers):
    named = {"content-type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=body, took_s=0.1)


def found(ledger):
    return {violation.invariant for violation in ledger.violations}


PROBLEM = {"content_type": "application/problem+json", "x-request-id": "r"}
ABOUT = {"title": "t", "detail": "d", "instance": "/v1/runs", "request_id": "r"}
UNKNOWN = json.dumps({"type": "/problems/not-found", "status": 404, **ABOUT}).encode()
AWAY = json.dumps({"type": "/problems/unavailable", "status": 503, **ABOUT}).encode()


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (heard(), set()),
        (heard(404, UNKNOWN, **PROBLEM), set()),
        (heard(body=b'{"name": "canary-b"}'), {"I3"}),
        (heard(etag="canary-b"), {"I3"}),
        (heard(404, UNKNOWN), {"I4"}),
        (heard(404, b"{}", **PROBLEM), {"I4"}),
        (heard(404, b"", **PROBLEM), {"I4"}),
        (heard(404, UNKNOWN.replace(b"/v1/runs", b"/v1/quotes"), **PROBLEM), {"I4"}),
        (heard(404, UNKNOWN, **PROBLEM | {"x-request-id": "another"}), {"I4"}),
        (heard(404, UNKNOWN.replace(b"/not", b"redis://h/"), **PROBLEM), {"I4"}),
        (heard(500, AWAY.replace(b"503", b"500"), **PROBLEM), {"I4"}),
        (heard(503, AWAY, retry_after="1", **PROBLEM), {"I4"}),
    ],
)
def test_an_answer_is_looked_at_as_it_comes(ledger, answer, wrong):
    ledger.received("acme", "GET", "/v1/runs", answer)
    assert found(ledger) == wrong


def pdf_of(words):
    return typst.compile(f"#set page(width: 5cm)\n{words}".encode())


def workbook_of(words):
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        book.add_worksheet().write("B2", words)
    return file.getvalue()


@pytest.mark.parametrize("packed", [pdf_of, workbook_of])
def test_what_is_packed_in_a_document_is_read(ledger, packed):
    ledger.canaries["bolt"] = b"canaryb0b0b0"
    body = packed("of somebody else: canaryb0b0b0, " + "and so on " * 20)
    assert b"canaryb0b0b0" not in body
    ledger.received("bolt", "GET", "/v1/quotes/q.pdf", heard(body=body))
    assert found(ledger) == set()
    ledger.received("acme", "GET", "/v1/quotes/q.pdf", heard(body=body))
    assert found(ledger) == {"I3"}


def test_a_document_that_cannot_be_opened_is_found(ledger):
    for packed in (pdf_of, workbook_of):
        ledger.received("bolt", "GET", "/v1/quotes/q.pdf", heard(body=packed("words")[:-200]))
    assert [violation.invariant for violation in ledger.violations] == ["I6", "I6"]


def test_an_event_says_the_same_each_time_and_tells_of_one_tenant(ledger):
    for body in (b"canary-a", b"canary-a"):
        ledger.heard_event("/takes", "evt_1", body)
    assert found(ledger) == set()
    ledger.heard_event("/takes", "evt_1", b"otherwise")
    assert found(ledger) == {"I2"}
    ledger.heard_event("/takes", "evt_2", b"canary-a canary-b")
    assert found(ledger) == {"I2", "I3"}


def test_a_503_is_right_while_something_is_broken_and_only_with_retry_after(ledger):
    ledger.open_window()
    ledger.received("acme", "GET", "/v1/runs", heard(503, AWAY, retry_after="1", **PROBLEM))
    assert found(ledger) == set()
    ledger.received("acme", "GET", "/v1/runs", heard(503, AWAY, **PROBLEM))
    assert found(ledger) == {"I4"}


def test_a_503_is_excused_by_when_it_was_asked_for(ledger):
    ledger.open_window()
    ledger.close_window()
    away = heard(503, AWAY, retry_after="1", **PROBLEM)
    ledger.received("acme", "GET", "/v1/runs", dataclasses.replace(away, took_s=60.0))
    assert found(ledger) == set()
    ledger.received("acme", "GET", "/v1/runs", dataclasses.replace(away, took_s=0.0))
    assert found(ledger) == {"I4"}
    assert ledger.counts == {"5xx": 2, "5xx in windows": 1, "5xx outside the windows": 1}


def test_a_run_that_goes_back_and_one_with_two_answers_are_found(ledger):
    job = Job(tenant="acme", key="k", body={})
    run = {"id": "run_1", "digest": "d", "status": "running"}
    ledger.saw_run(job, run)
    ledger.saw_run(job, run | {"status": "done", "result": {"a": 1, "b": 2}})
    ledger.saw_run(job, run | {"status": "done", "result": {"b": 2, "a": 1}})
    assert found(ledger) == set()
    ledger.saw_run(job, run | {"status": "done", "result": {"a": 2}})
    assert found(ledger) == {"I5"}
    ledger.saw_run(job, run)
    assert found(ledger) == {"I5", "I8"}
