"""/v1/schedules and /v1/occurrences: who may, what is refused, tags, keys, pages, and results as lines and a table."""

import csv
import io
import json
from typing import Any

import pytest

from service.access import Role
from service.planning.schedule.due import ring
from tests.api.conftest import Speaker
from tests.api.selling import SMALL

SCHEDULES = "/v1/schedules"
NIGHTLY: dict[str, Any] = {"name": "nightly", "cron": "0 2 * * *", "time_zone": "Europe/Berlin"}


@pytest.fixture
def pass_by(runtime, work):
    """Does what dispatcher and workers would."""

    def passing() -> None:
        work()
        while ring(runtime):
            work()

    return passing


def test_a_schedule_is_made_read_changed_paused_resumed_and_removed(admin: Speaker, check):
    posted = admin.post(SCHEDULES, NIGHTLY)
    assert (posted.status_code, check(posted)["version"]) == (201, 1)
    assert posted.json["selection"] == {
        "labels": {},
        "kind": None,
        "state": None,
        "asked_within_days": None,
        "asked_before_days": None,
    }
    place = posted.headers["Location"]
    read = admin.get(place)
    assert (read.json, read.headers["ETag"]) == (posted.json, posted.headers["ETag"])
    assert admin.get(place, If_None_Match=read.headers["ETag"]).status_code == 304
    # What was read, with what the service adds left out, is what may be written.
    names = ("name", "cron", "time_zone", "triggers", "selection", "threshold_fraction")
    body = {name: read.json[name] for name in names}
    assert admin.put(place, body, If_Match=read.headers["ETag"]).json == read.json
    changed = admin.put(place, {**body, "triggers": ["engine"]}, If_Match=read.headers["ETag"])
    assert (changed.status_code, changed.json["version"], changed.json["triggers"]) == (200, 2, ["engine"])
    assert admin.put(place, body, If_Match=read.headers["ETag"]).status_code == 412
    assert admin.put(place, body).status_code == 428
    paused = admin.post(f"{place}/pause", If_Match=changed.headers["ETag"])
    assert (paused.json["paused"], paused.json["next_at"]) == (True, None)
    assert admin.get(f"{SCHEDULES}?paused=true").json["items"] == [paused.json]
    assert admin.post(f"{place}/resume", If_Match=paused.headers["ETag"]).json["paused"] is False
    assert admin.delete(place, If_Match="*").status_code == 204
    assert admin.get(place).status_code == 404
    assert admin.get(SCHEDULES).json == {"items": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "cron"),
        ({"name": "x", "cron": "99 * * * *"}, "cron"),
        ({"name": "x", "cron": "* * * * * *"}, "cron"),
        ({"name": "x", "cron": "0 0 30 2 *"}, "cron"),
        ({**NIGHTLY, "time_zone": "Mars/Olympus"}, "time_zone"),
        ({**NIGHTLY, "triggers": ["weather"]}, "triggers.0"),
        ({**NIGHTLY, "triggers": None}, "triggers"),
        ({**NIGHTLY, "selection": {"label": {}}}, "selection.label"),
        ({**NIGHTLY, "selection": {"asked_within_days": 0}}, "selection.asked_within_days"),
        ({**NIGHTLY, "threshold_fraction": -1}, "threshold_fraction"),
        ({**NIGHTLY, "next_at": "2026-11-20T12:00:00Z"}, "next_at"),
        ({"cron": "0 2 * * *"}, "name"),
    ],
)
def test_what_is_wrong_is_named(body, field, admin: Speaker):
    for path in (SCHEDULES, f"{SCHEDULES}/preview"):
        refused = admin.post(path, body)
        assert (refused.status_code, [error["field"] for error in refused.json["errors"]]) == (422, [field])


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMIN}))
def test_administrators_write_and_the_tenant_reads(role, admin: Speaker, speaker):
    place = admin.post(SCHEDULES, NIGHTLY).headers["Location"]
    somebody = speaker("acme", role)
    writes = [somebody.post(SCHEDULES, NIGHTLY), somebody.put(place, NIGHTLY, If_Match="*")]
    writes += [somebody.post(f"{place}/{step}", If_Match="*") for step in ("pause", "resume", "run")]
    writes += [somebody.delete(place, If_Match="*"), somebody.post(f"{SCHEDULES}/preview", NIGHTLY)]
    assert {answer.status_code for answer in writes} == {403}
    reads = {somebody.get(path).status_code for path in (SCHEDULES, place, f"{place}/preview", f"{place}/occurrences")}
    assert reads == ({403} if role is Role.OPERATOR else {200})


def test_another_tenants_schedule_is_not_there(admin: Speaker, speaker, pass_by):
    admin.post("/v1/workloads", {**SMALL, "name": "canary"})
    place = admin.post(SCHEDULES, {**NIGHTLY, "name": "canary"}).headers["Location"]
    occurrence = admin.post(f"{place}/run").headers["Location"]
    pass_by()
    rival = speaker("rival", Role.ADMIN)
    paths = (place, f"{place}/preview", f"{place}/occurrences", occurrence, f"{occurrence}/items")
    for path in (*paths, f"{occurrence}/results"):
        assert admin.get(path).status_code == 200
        answer = rival.get(path)
        assert (answer.status_code, "canary" in answer.text) == (404, False)
    for step in ("pause", "resume", "run"):
        assert rival.post(f"{place}/{step}", If_Match="*").status_code == 404
    assert rival.put(place, NIGHTLY, If_Match="*").status_code == 404
    assert rival.delete(place, If_Match="*").status_code == 404
    assert rival.get(SCHEDULES).json == {"items": []}
    assert rival.post(f"{SCHEDULES}/preview", NIGHTLY).json["selected"] == 0


def test_it_is_run_now_watched_and_read_as_lines_and_as_a_table(admin: Speaker, acme: Speaker, pass_by, check):
    first = acme.post("/v1/workloads", {**SMALL, "name": "=one"}).json["workload_id"]
    second = acme.post("/v1/workloads", {**SMALL, "constraints": {"max_racks": 9}}).json["workload_id"]
    pass_by()
    place = admin.post(SCHEDULES, NIGHTLY).headers["Location"]
    posted = admin.post(f"{place}/run")
    assert (posted.status_code, posted.json["status"], posted.json["reason"]) == (201, "due", "request")
    assert admin.post(f"{place}/run").status_code == 409
    occurrence = posted.headers["Location"]
    waiting = acme.get(occurrence)
    assert waiting.headers["Retry-After"] == "2"
    pass_by()
    done = acme.get(occurrence)
    assert (check(done)["status"], done.json["stage"], done.json["items"]) == ("done", "ended", 2)
    assert done.json["summary"]["outcomes"]["unchanged"] == 2
    assert "Retry-After" not in done.headers
    assert acme.get(occurrence, If_None_Match=done.headers["ETag"]).status_code == 304
    assert acme.get(place).json["last_occurrence"]["id"] == done.json["id"]
    page = acme.get(f"{occurrence}/items?limit=1").json
    assert [item["workload_id"] for item in page["items"]] == [first]
    rest = acme.get(f"{occurrence}/items?limit=1&cursor={page['next_cursor']}").json
    assert ([item["workload_id"] for item in rest["items"]], "next_cursor" in rest) == ([second], False)
    assert acme.get(f"{occurrence}/items?outcome=moved").json == {"items": []}
    assert len(acme.get(f"{occurrence}/items?workload_id={first}").json["items"]) == 1
    lines = acme.get(f"{occurrence}/results")
    assert (lines.mimetype, [json.loads(line)["line"] for line in lines.text.splitlines()]) == (
        "application/x-ndjson",
        [1, 2],
    )
    table = acme.get(f"{occurrence}/results", Accept="text/csv")
    assert (table.status_code, table.mimetype) == (200, "text/csv"), table.text
    one, _ = csv.DictReader(io.StringIO(table.text))
    assert (one["outcome"], one["name"], one["servers_old"]) == ("unchanged", "'=one", one["servers_new"])
    assert (one["feasible_old"], one["feasible_new"], float(one["total_usd_new"]) > 0) == ("true", "true", True)
    listed = acme.get(f"{place}/occurrences?status=done").json["items"]
    assert [one["id"] for one in listed] == [done.json["id"]]
    assert acme.get(f"{place}/occurrences?status=running").json == {"items": []}


def test_a_preview_keeps_nothing(admin: Speaker, check):
    admin.post("/v1/workloads", {**SMALL, "labels": {"team": "care"}})
    found = check(admin.post(f"{SCHEDULES}/preview", {**NIGHTLY, "selection": {"labels": {"team": "care"}}}))
    assert (found["selected"], len(found["ticks"]), found["workloads"][0]["labels"]) == (1, 5, {"team": "care"})
    assert {tick["local"][11:19] for tick in found["ticks"]} == {"02:00:00"}
    assert admin.get(SCHEDULES).json == {"items": []}


def test_the_same_posting_under_its_key_is_one(admin: Speaker):
    first = admin.post(SCHEDULES, NIGHTLY, Idempotency_Key="k1")
    again = admin.post(SCHEDULES, NIGHTLY, Idempotency_Key="k1")
    assert (first.status_code, again.status_code, again.json) == (201, 201, first.json)
    assert admin.post(SCHEDULES, {**NIGHTLY, "name": "y"}, Idempotency_Key="k1").status_code == 422
    run = admin.post(f"{first.headers['Location']}/run", Idempotency_Key="k2")
    assert admin.post(f"{first.headers['Location']}/run", Idempotency_Key="k2").json == run.json
    assert len(admin.get(SCHEDULES).json["items"]) == 1


def test_its_changes_are_audited(admin: Speaker):
    place = admin.post(SCHEDULES, NIGHTLY).headers["Location"]
    admin.post(f"{place}/pause", If_Match="*")
    admin.delete(place, If_Match="*")
    found = admin.get(f"/v1/audit-events?resource_kind=schedule&resource_id={place.rpartition('/')[2]}").json["items"]
    assert {event["action"] for event in found} == {"schedule.created", "schedule.paused", "schedule.removed"}
