"""GET /v1/audit-events: for administrators, with the request id of each change, and filters that mean one thing."""

import pytest

from service.access import Role
from tests.api.conftest import Speaker
from tests.schemas.requests import SMALL_CHAT, changed

OTHER = changed(SMALL_CHAT, "workload.isl_tokens", 1234)


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMIN}))
def test_administrators_only(role, speaker):
    assert speaker("acme", role).get("/v1/audit-events").status_code == 403


def test_each_accepted_change_is_told_once_and_each_refusal_never(acme: Speaker, rival: Speaker, admin: Speaker, check):
    posted = acme.post("/v1/workloads", SMALL_CHAT, X_Request_Id="one")
    path = f"/v1/workloads/{posted.json['workload_id']}"
    tag = acme.get(path).headers["ETag"]
    accepted = [posted, acme.put(path, OTHER, If_Match=tag)]
    refusals = [
        acme.put(path, SMALL_CHAT, If_Match=tag),
        acme.put(path, SMALL_CHAT),
        acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.isl_tokens", 0)),
        rival.delete(path, If_Match="*"),
        acme.post("/v1/runs/run_0/cancel"),
    ]
    assert all(answer.status_code >= 400 for answer in refusals)
    accepted.append(acme.post(f"/v1/runs/{accepted[1].json['id']}/cancel"))
    acme.post(f"/v1/runs/{accepted[1].json['id']}/cancel")
    accepted.append(acme.delete(path, If_Match="*"))
    acme.delete(path, If_Match="*")
    found = check(admin.get("/v1/audit-events?principal=acme-requester"))["items"][::-1]
    assert [event["action"] for event in found] == [
        "workload.created", "workload.changed", "run.cancelled", "workload.archived",
    ]  # fmt: skip
    assert [event["request_id"] for event in found] == [answer.headers["X-Request-Id"] for answer in accepted]
    assert found[0]["request_id"] == "one"
    assert found[1]["new_state"] == f"version 2, {accepted[1].json['id']} queued"
    assert "next_cursor" not in admin.get("/v1/audit-events").json


@pytest.mark.parametrize("known", [False, True])
def test_what_is_sent_again_under_its_key_is_told_once(known, acme: Speaker, admin: Speaker, work):
    if known:
        acme.post("/v1/workloads", SMALL_CHAT)
        work()
    ids = {acme.post("/v1/workloads", SMALL_CHAT, Idempotency_Key="once").json["workload_id"] for _ in range(3)}
    acme.post("/v1/workloads", OTHER, Idempotency_Key="once")
    assert len(ids) == 1
    [event] = admin.get(f"/v1/audit-events?resource_id={ids.pop()}").json["items"]
    assert event["action"] == "workload.created"
    assert len(admin.get("/v1/audit-events?action=workload.created").json["items"]) == 1 + known


def test_pages_keep_their_filter(acme: Speaker, admin: Speaker, check):
    ids = [acme.post("/v1/workloads", SMALL_CHAT | {"name": f"n{number}"}).json["workload_id"] for number in range(5)]
    seen, query = [], "action=workload.created&limit=2"
    while query:
        page = check(admin.get(f"/v1/audit-events?{query}"))
        seen += [event["resource_id"] for event in page["items"]]
        cursor = page.get("next_cursor")
        query = f"action=workload.created&limit=2&cursor={cursor}" if cursor else ""
    assert sorted(seen) == sorted(ids)
    [event] = admin.get(f"/v1/audit-events?resource_id={ids[2]}&resource_kind=workload").json["items"]
    assert event["resource_id"] == ids[2]


def test_a_tenant_reads_its_own_events_only(acme: Speaker, speaker):
    acme.post("/v1/workloads", SMALL_CHAT)
    found = speaker("rival", Role.ADMIN).get("/v1/audit-events").json["items"]
    assert sorted(event["action"] for event in found) == ["key.created", "tenant.created"]


@pytest.mark.parametrize(
    "text",
    ["2026-11-20T12:00:00Z",
     "2026-11-20t12:00:00.5z", "2026-11-20T13:00:00%2B01:00", "2026-11-20T12:00:00.1234567-00:00"],
)  # fmt: skip
def test_times_with_a_zone(text, admin: Speaker, check):
    assert check(admin.get(f"/v1/audit-events?created_after={text}"))["items"]
    assert admin.get(f"/v1/audit-events?created_before={text}").json == {"items": []}


@pytest.mark.parametrize(
    "text",
    ["2026-11-20", "2026-11-20T12:00:00", "2026-11-20 12:00:00Z", "20261120T120000Z", "2026-W47-5T12:00:00Z", "now",
     "1700000000", "2026-02-30T12:00:00Z", "2026-11-20T25:00:00Z", "2026-11-20T12:00:60Z",
     "0001-01-01T00:00:00%2B14:00",     "2026-11-20T12:00:00+01:00", "", "%D9%A2026-11-20T12:00:00Z"],
)  # fmt: skip
def test_times_that_are_none(text, admin: Speaker, check):
    answer = admin.get(f"/v1/audit-events?created_before={text}")
    assert answer.status_code == 422
    [error] = check(answer)["errors"]
    assert error["field"] == "created_before"
    assert "RFC 3339 with its zone" in error["message"]
    assert ("%2B" in error["message"]) == (" " in text or "+" in text)


@pytest.mark.parametrize(
    "query", ["action=workload.made", "resource_kind=invoice", "resource_id=", "principal=", "kind=run", "created_at=x"]
)
def test_a_wrong_query_is_422(query, admin: Speaker, check):
    answer = admin.get(f"/v1/audit-events?{query}")
    assert answer.status_code == 422
    assert check(answer)["errors"][0]["field"] == query.split("=")[0]
