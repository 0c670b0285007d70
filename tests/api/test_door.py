"""Whoever has used up their calls is told at the door what the long way would have told them, and for less."""

import io
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, TestResponse

from service.access import Quota, Role
from service.app import create_app
from service.edge.authentication import remember_keys
from service.edge.limits import limit_rates
from service.edge.requests import FAILED_BEFORE
from service.errors import RateLimitedError
from service.planning.keys import create_key, revoke_key
from service.planning.quotas import set_quota
from tests.api.conftest import Speaker
from tests.api.test_express import comparable
from tests.schemas.requests import SMALL_CHAT

LIMITS = {"rate_window_s": 1_000_000_000, "rate_limit_reads": 4, "rate_limit_writes": 2, "key_memory_s": 60}


@pytest.fixture
def busy(app, runtime, acme: Speaker) -> Speaker:
    """A tenant that has read and written as often as it may, with a key that is trusted for the whole test."""
    remember_keys(app, memory_s=60)
    limit_rates(app, replace(runtime.settings, **LIMITS))
    assert [acme.get("/v1/runs").status_code for _ in range(5)] == [200] * 4 + [429]
    assert [acme.post("/v1/workloads", SMALL_CHAT).status_code for _ in range(3)] == [202, 202, 429]
    return acme


@pytest.fixture
def dispatched(app):
    """The requests that came as far as Flask."""
    seen: list[str] = []
    app.before_request_funcs[None].insert(0, lambda: seen.append("flask") or None)
    yield seen
    app.before_request_funcs[None].pop(0)


def without_id(answer) -> tuple[object, ...]:
    body = json.loads(answer.data)
    assert body.pop("request_id") == answer.headers["X-Request-Id"]
    status, headers, _ = comparable(answer)
    return status, [pair for pair in headers if pair[0] not in {"content-length", "retry-after"}], body["type"], body


@pytest.mark.parametrize(
    "call",
    [
        lambda busy: busy.get("/v1/runs?limit=1"),
        lambda busy: busy.get("/v1/runs", Accept="text/html"),
        lambda busy: busy.get("/v1/nowhere/caf\u00e9"),
        lambda busy: busy.post("/v1/workloads", SMALL_CHAT),
        lambda busy: busy.post("/v1/batches", data=b"not even a batch"),
        lambda busy: busy.delete("/v1/runs"),
    ],
)
def test_the_door_says_what_the_long_way_says(call, app, runtime, busy: Speaker, dispatched):
    short = call(busy)
    assert dispatched == []
    # A key that is not remembered is looked up, and that is for the long way.
    remember_keys(app, memory_s=0.0)
    long = call(busy)
    assert dispatched == ["flask"]
    assert short.status_code == 429
    assert without_id(short)[:3] == without_id(long)[:3]
    assert short.json["detail"].split(";")[0] == long.json["detail"].split(";")[0]
    assert (short.json["instance"], int(short.headers["Retry-After"]) > 0) == (long.json["instance"], True)


def test_a_body_that_is_refused_is_not_read(app, busy: Speaker):
    class Unread(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("somebody reads")

    builder = EnvironBuilder(
        method="POST",
        path="/v1/workloads",
        headers={"Authorization": f"Bearer {busy.token}", "Content-Length": "1000000"},
        content_type="application/json",
        input_stream=Unread(),
    )
    told: list[str] = []
    list(app.wsgi_app(builder.get_environ(), lambda status, _: told.append(status)))
    assert told == ["429 TOO MANY REQUESTS"]


def test_others_are_let_in(busy: Speaker, rival: Speaker):
    assert rival.get("/v1/runs").status_code == 200
    assert rival.post("/v1/workloads", SMALL_CHAT).status_code == 202


def test_a_quota_that_grows_opens_the_door(app, runtime, busy: Speaker):
    set_quota(runtime, busy.tenant_id, Quota(reads=6))
    fresh = create_key(runtime, busy.tenant_id, principal="second", role=Role.REQUESTER)
    again = replace(busy, token=fresh.token)
    assert [again.get("/v1/runs").status_code for _ in range(3)] == [200, 200, 429]


def test_a_key_that_is_not_known_is_refused_as_such(app, runtime, busy: Speaker):
    other = create_key(runtime, busy.tenant_id, principal="second", role=Role.REQUESTER)
    revoke_key(runtime, busy.tenant_id, other.id)
    assert replace(busy, token=other.token).get("/v1/runs").status_code == 401


def test_what_is_open_to_all_stays_open(busy: Speaker):
    assert busy.get("/healthz").status_code == 200


def test_refusals_are_counted(runtime, busy: Speaker):
    def counted(name: str, **labels: str) -> float:
        return runtime.metrics.collected().get_sample_value(name, labels) or 0

    names = (
        ("headroom_rate_limited_total", {"limit": "reads"}),
        ("headroom_problems_total", {"code": "rate_limited"}),
        ("headroom_http_requests_total", {"route": "other", "method": "GET", "status": "4xx"}),
    )
    before = [counted(name, **labels) for name, labels in names]
    busy.get("/v1/runs")
    assert [counted(name, **labels) for name, labels in names] == [count + 1 for count in before]


def test_a_second_of_a_flood_is_one_line(acme: Speaker, runtime, capfd):
    app = create_app(replace(runtime, settings=replace(runtime.settings, log_level="INFO", **LIMITS)))
    busy = replace(acme, client=app.test_client())
    calls = [busy.get("/v1/runs", X_Request_Id=f"mine-{n}") for n in range(50)]
    assert [call.headers["X-Request-Id"] for call in calls] == [f"mine-{n}" for n in range(50)]
    refused = sum(call.status_code == 429 for call in calls)
    lines: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    deadline_s = time.monotonic() + 20
    while sum(line["count"] for line in told) < refused and time.monotonic() < deadline_s:
        time.sleep(0.05)
        lines += [json.loads(line) for line in capfd.readouterr().err.splitlines()]
        told = [line for line in lines if line["event"] == "calls_refused" and line["tenant_id"] == acme.tenant_id]
    alone = [line for line in lines if line["event"] == "request" and line["status"] == 429]
    assert (refused, alone, sum(line["count"] for line in told)) == (46, [], 46)
    assert {line["kind"] for line in told} == {"reads"}
    assert told[-1]["request_id"] == "mine-49"


def test_a_refusal_costs_little(app, busy: Speaker):
    """So little that a thousand a second leave a core to the others; the long way takes more than this by far."""
    environs = [
        EnvironBuilder(path="/v1/runs", headers={"Authorization": f"Bearer {busy.token}"}).get_environ()
        for _ in range(2000)
    ]
    began_s = time.process_time()
    for environ in environs:
        list(app.wsgi_app(environ, lambda *_: None))
    assert (time.process_time() - began_s) / len(environs) < 150e-6


def test_what_failed_before_flask_saw_it_is_counted_once_and_says_how_its_tenant_stands(app, runtime, acme: Speaker):
    limit_rates(app, replace(runtime.settings, rate_window_s=1_000_000_000))
    error = RateLimitedError("Too many bodies are on their way.", retry_after_s=1)
    headers = {"Authorization": f"Bearer {acme.token}"}

    def failed() -> TestResponse:
        overrides = {FAILED_BEFORE: error}
        return acme.client.post("/v1/workloads", json=SMALL_CHAT, headers=headers, environ_overrides=overrides)

    first, second = failed(), failed()
    assert (first.status_code, first.headers["Retry-After"]) == (429, "1")
    assert int(second.headers["RateLimit-Remaining"]) == int(first.headers["RateLimit-Remaining"]) - 1
