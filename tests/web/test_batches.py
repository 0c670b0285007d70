"""Batches and schedules as pages: sent, followed, narrowed; a wrong item is refused alone, with its line."""

import html
import io
import json

import pytest

from tests.schemas.requests import SMALL_CHAT
from tests.web.conftest import asked_first, form_token, text_of

LINES = "\n".join(
    json.dumps(one)
    for one in (
        {"name": "fits", **SMALL_CHAT},
        {"name": "is wrong", "workload": {**SMALL_CHAT["workload"], "model": "lama-3.1-8b"}},
        {"name": "cannot be", "workload": {**SMALL_CHAT["workload"], "slo": {"ttft_ms": 0.01}}},
    )
)


@pytest.fixture
def batch(anna) -> str:
    return anna.post("/batches", {"items": LINES, "name": "three of them"}, on="/batches").headers["Location"]


def test_a_batch_is_sent_followed_and_narrowed(anna, batch, work):
    waiting = anna.get(batch)
    assert 'hx-trigger="every 1s"' in waiting.text
    work()
    done = anna.get(batch)
    assert 'hx-trigger="every 1s"' not in done.text
    words = text_of(done.text)
    for told in ("three of them", "Refused 1", "Infeasible 1", "Done 1"):
        assert told in words, told
    refused = text_of(anna.get(f"{batch}?state=refused").text)
    assert "is wrong" in refused
    assert "\u201cModel\u201d: " in refused
    assert refused.count("llama-3.1-8b") == 1
    assert "fits" not in refused.replace("Nothing fits", "")
    part = anna.get(batch, HX_Request="true")
    assert "<html" not in part.text
    table = anna.get(f"{batch}/results.csv")
    assert table.mimetype == "text/csv"
    assert table.text.count("\n") == 4
    assert "three of them" in anna.get("/batches").text


def test_a_file_may_be_a_table(anna):
    heading = "name,workload.kind,workload.model,workload.isl_tokens,workload.osl_tokens,workload.demand.requests_s"
    table = f"{heading}\ncare,inference,llama-3.1-8b,1000,200,5\n".encode()
    answer = anna.post("/batches", {"file": (io.BytesIO(table), "w.csv")}, on="/batches")
    assert answer.status_code == 303


@pytest.mark.parametrize("items", ["", "  ", "[1, 2", "[]"])
def test_what_is_no_batch_is_told_and_not_lost(anna, items):
    answer = anna.post("/batches", {"items": items}, on="/batches")
    assert answer.status_code in {303, 422}
    if answer.status_code == 422:
        assert "alert" in answer.text
        assert items.strip() in answer.text


def test_an_open_batch_is_cancelled(anna, batch):
    assert "already stays" in asked_first(anna.get(batch).text, f"{batch}/cancel")
    # What asks again every second must not close what somebody has just opened.
    assert "/cancel" not in anna.get(batch, HX_Request="true").text
    assert anna.post(f"{batch}/cancel", {}, on="/batches").status_code == 303
    assert '<div id="stop" hx-swap-oob="true"></div>' in anna.get(batch, HX_Request="true").text
    assert "Cancelled 3" in text_of(anna.get(batch).text)


def test_another_tenants_batch_is_not_there(batch, visitor):
    stranger = visitor("rival")
    for path in (batch, f"{batch}/results.csv", "/schedules/sch_0", "/occurrences/occ_0"):
        assert stranger.get(path).status_code == 404, path
    assert stranger.post(f"{batch}/cancel", {}, on="/batches").status_code == 404


def test_items_are_narrowed_by_kind_and_name(anna, batch, work):
    work()
    assert "is wrong" not in text_of(anna.get(f"{batch}?kind=inference&name=fits").text)
    assert "is like that" in text_of(anna.get(f"{batch}?kind=science").text)
    assert "state=refused&amp;kind=&amp;name=fits" in anna.get(f"{batch}?name=fits").text


def test_what_is_broken_is_refused_and_stands_there_still(anna):
    broken = '[{"name": "one"}, {"name": '
    answer = anna.post("/batches", {"items": broken, "name": "mine"}, on="/batches")
    assert answer.status_code == 422
    assert broken in html.unescape(answer.text)
    assert 'value="mine"' in answer.text


def test_a_file_is_as_long_as_the_api_takes_it(anna, runtime):
    limits = runtime.settings
    line = json.dumps({"name": "long", "labels": {"note": "x" * 60}, **SMALL_CHAT}).encode() + b"\n"
    lines = line * (limits.body_limit_bytes * 2 // len(line))
    assert len(lines) > limits.body_limit_bytes
    # Written out, because the client that writes it itself leaves a file open.
    token = form_token(anna.get("/batches").text)
    part = "--part\r\nContent-Disposition: form-data; name="
    body = f'{part}"form_token"\r\n\r\n{token}\r\n{part}"file"; filename="w.ndjson"\r\n\r\n'.encode()
    kind = "multipart/form-data; boundary=part"
    answer = anna.client.post("/batches", data=body + lines + b"\r\n--part--\r\n", content_type=kind)
    assert answer.status_code == 303, text_of(answer.text)[:500]
    assert f"of at most {limits.batch_limit_bytes // 1_000_000} MB" in text_of(anna.get("/batches").text)
    # Other forms stay short.
    assert anna.post("/compare/what-if", {"run": "x" * limits.body_limit_bytes}).status_code == 413
