"""Changes of every kind on PostgreSQL, held against what the fault protocol looks for; and errors, against its I4."""

import dataclasses

import psycopg
import pytest

from scripts.faulting.answer import Answer
from scripts.faulting.checker import in_database
from scripts.faulting.heard import Call, wrong_problem
from service.access import Role
from service.outbound import Outbound
from service.planning.schedule.due import begin_due, ring
from service.runtime import build_runtime
from service.store.migrate import upgrade
from tests.api.selling import open_shop
from tests.fakes import resolves_to_public

HOOK = {"name": "ours", "url": "https://hooks.example.com/headroom", "events": ["run.done"]}
NIGHTLY = {"name": "nightly", "cron": "0 2 * * *"}
ITEM = {"name": "item", "workload": {"kind": "inference", "model": "llama-3.1-8b", "demand": {"concurrency": 4}}}


@pytest.fixture
def runtime(settings, facts, queue, postgresql_url):
    """On the database that the statements are for."""
    upgrade(postgresql_url)
    there = dataclasses.replace(settings, database_url=postgresql_url)
    runtime = build_runtime(there, facts=facts, queue=queue, outbound=Outbound(resolver=resolves_to_public))
    yield runtime
    runtime.sessions.kw["bind"].dispose()


@pytest.fixture
def changed(runtime, speaker, work, postgresql_url):
    """A database in which something of every kind was made, changed and ended."""
    admin = speaker("acme", Role.ADMIN)
    hooks = [admin.post("/v1/webhooks", HOOK).headers["Location"] for _ in range(2)]
    admin.put(hooks[0], {**HOOK, "enabled": False}, If_Match="*")
    admin.put(hooks[0], HOOK, If_Match="*")
    admin.post(f"{hooks[0]}/rotate", {}, If_Match="*")
    assert admin.delete(hooks[0], If_Match="*").status_code == 204
    schedules = [admin.post("/v1/schedules", NIGHTLY).headers["Location"] for _ in range(2)]
    admin.put(schedules[0], {**NIGHTLY, "cron": "0 3 * * *"}, If_Match="*")
    for step in ("pause", "resume"):
        assert admin.post(f"{schedules[0]}/{step}", If_Match="*").status_code == 200
    assert admin.delete(schedules[0], If_Match="*").status_code == 204
    keys = [admin.post("/v1/keys", {"principal": "ann", "role": "requester"}).json["id"] for _ in range(2)]
    assert admin.post(f"/v1/keys/{keys[0]}/rotate", {}).status_code == 201
    assert admin.post(f"/v1/keys/{keys[1]}/revoke").status_code == 200
    batch = admin.post("/v1/batches", [ITEM]).json["id"]
    assert admin.post(f"/v1/batches/{batch}/cancel").status_code == 200
    shop = open_shop(speaker, work)
    shop.stock()
    shop.issued()
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE schedules SET next_at = now() - interval '1 second' WHERE removed_at IS NULL")
    begin_due(runtime)
    work()
    while ring(runtime):
        work()
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        # Nobody relays here.
        connection.execute("DELETE FROM outbox")
        yield connection


def test_what_callers_change_is_noted_and_what_is_not_noted_is_found(changed):
    assert list(in_database(changed)) == []
    for action in (
        "webhook.created", "webhook.changed", "webhook.rotated", "webhook.deleted", "schedule.created",
        "schedule.changed", "schedule.paused", "schedule.removed", "key.created", "key.revoked", "batch.created",
        "batch.cancelled", "price_book.created", "price_book.activated", "quote.issued", "occurrence.created",
        "occurrence.done",
    ):  # fmt: skip
        with changed.transaction(force_rollback=True):
            assert changed.execute("DELETE FROM audit_events WHERE action = %s", [action]).rowcount, action
            kind = action.partition(".")[0]
            assert any(found.invariant == "I9" and kind in found.words for found in in_database(changed)), action


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/runs/run_none", 404),
        ("GET", "/v1/runs/%2e%2e%2Fx%20y", 404),
        ("GET", "/v1/nowhere/ü/" + "x" * 900, 404),
        ("DELETE", "/v1/runs", 405),
        ("POST", "/v1/workloads", 400),
        ("GET", "/v1/runs?limit=x", 422),
        ("GET", "/nowhere?x=1", 404),
    ],
)
def test_an_error_is_about_its_call(app, speaker, method, path, status):
    token = speaker("acme", Role.ADMIN).token
    heard = app.test_client().open(
        path, method=method, headers={"Authorization": f"Bearer {token}"}, data=b"{", content_type="application/json"
    )
    headers = {name.lower(): value for name, value in heard.headers.items()}
    answer = Answer(status=heard.status_code, headers=headers, body=heard.data, took_s=0.0)
    call = Call(tenant="acme", method=method, path=path, status=heard.status_code)
    assert (heard.status_code, list(wrong_problem(call, answer, host=b""))) == (status, [])
