"""/v1/webhooks: who may, what is refused, tags, pages, keys; secrets that are shown once; no other tenant's."""

import copy
import json

import pytest

from service.access import Role
from service.planning.delivery.deliver import deliver
from service.queue import QueueName
from service.schemas.event import SUBSCRIBABLE
from tests.api.conftest import Speaker

HOOKS = "/v1/webhooks"
HOOK = {"name": "ours", "url": "https://hooks.example.com/headroom?team=a", "events": ["run.done", "batch.done"]}


def asked(**changes):
    return {**copy.deepcopy(HOOK), **changes}


def made(speaker: Speaker):
    posted = speaker.post(HOOKS, HOOK)
    assert posted.status_code == 201, posted.text
    return posted


def test_a_webhook_is_made_read_changed_and_deleted(admin: Speaker, check):
    posted = made(admin)
    place = posted.headers["Location"]
    assert check(posted)["secret"].startswith("whsec_")
    read = admin.get(place)
    assert check(read) == {name: value for name, value in posted.json.items() if name != "secret"}
    assert read.json["events"] == ["batch.done", "run.done"]
    assert (read.json["state"], read.headers["ETag"]) == ("active", posted.headers["ETag"])
    assert admin.get(place, If_None_Match=read.headers["ETag"]).status_code == 304
    changed = admin.put(place, asked(enabled=False), If_Match=read.headers["ETag"])
    assert check(changed)["state"] == "disabled"
    assert changed.json["disabled_reason"] == "An administrator disabled it."
    assert admin.put(place, HOOK, If_Match=read.headers["ETag"]).status_code == 412
    assert admin.put(place, HOOK).status_code == 428
    again = admin.put(place, HOOK, If_Match=changed.headers["ETag"])
    assert (again.json["state"], again.json["disabled_reason"], again.json["version"]) == ("active", None, 3)
    same = admin.put(place, HOOK, If_Match="*")
    assert same.headers["ETag"] == again.headers["ETag"]
    assert admin.delete(place).status_code == 428
    assert admin.delete(place, If_Match=again.headers["ETag"]).status_code == 204
    assert admin.get(place).status_code == 404
    assert admin.get(HOOKS).json == {"items": []}


def test_one_can_be_made_that_waits(admin: Speaker):
    posted = admin.post(HOOKS, asked(enabled=False))
    assert (posted.status_code, posted.json["state"]) == (201, "disabled")
    assert admin.put(posted.headers["Location"], HOOK, If_Match="*").json["state"] == "active"


def test_every_change_is_audited(admin: Speaker):
    place = made(admin).headers["Location"]
    admin.put(place, asked(name="x"), If_Match="*")
    admin.post(f"{place}/rotate", {}, If_Match="*")
    admin.delete(place, If_Match="*")
    events = admin.get("/v1/audit-events?resource_kind=webhook").json["items"]
    assert [one["action"] for one in reversed(events)] == [
        "webhook.created",
        "webhook.changed",
        "webhook.rotated",
        "webhook.deleted",
    ]
    assert all("hooks.example.com" not in str(one) and "whsec_" not in str(one) for one in events)


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMIN}))
def test_administrators_only(role, admin: Speaker, speaker):
    place = made(admin).headers["Location"]
    somebody = speaker("acme", role)
    answers = [
        somebody.get(HOOKS),
        somebody.get(place),
        somebody.post(HOOKS, HOOK),
        somebody.put(place, HOOK, If_Match="*"),
        somebody.delete(place, If_Match="*"),
        somebody.post(f"{place}/rotate", {}, If_Match="*"),
        somebody.post(f"{place}/ping"),
        somebody.get(f"{place}/deliveries"),
    ]
    assert {answer.status_code for answer in answers} == {403}


def test_another_tenants_webhook_is_404_and_stays_as_it_is(admin: Speaker, speaker):
    place = made(admin).headers["Location"]
    delivery = admin.post(f"{place}/ping").json["id"]
    rival = speaker("rival", Role.ADMIN)
    answers = [
        rival.get(place),
        rival.put(place, HOOK, If_Match="*"),
        rival.delete(place, If_Match="*"),
        rival.post(f"{place}/rotate", {}, If_Match="*"),
        rival.post(f"{place}/ping"),
        rival.get(f"{place}/deliveries"),
        rival.get(f"{place}/deliveries/{delivery}"),
        rival.post(f"{place}/deliveries/{delivery}/replay"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    mine = made(rival).headers["Location"]
    assert rival.get(f"{mine}/deliveries/{delivery}").status_code == 404
    assert [one["id"] for one in rival.get(HOOKS).json["items"]] == [mine.rpartition("/")[2]]
    assert admin.get(place).json["version"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (asked(url="http://hooks.example.com/"), "url"),
        (asked(url="https://127.0.0.1/"), "url"),
        (asked(url="https://169.254.169.254/latest"), "url"),
        (asked(url="https://a:b@hooks.example.com/"), "url"),
        (asked(url="https://hooks.example.com:22/"), "url"),
        (asked(url="https://2130706433/"), "url"),
        (asked(url=""), "url"),
        (asked(url=None), "url"),
        (asked(events=[]), "events"),
        (asked(events=["run.dne"]), "events.0"),
        (asked(events=["webhook.ping"]), "events.0"),
        (asked(events="run.done"), "events"),
        (asked(enabled="yes"), "enabled"),
        (asked(secret="mine"), "secret"),
        (asked(tenant_id="ten_1"), "tenant_id"),
        (asked(state="active"), "state"),
        ({"events": ["run.done"]}, "url"),
    ],
)
def test_what_is_wrong_is_named_and_leaves_nothing(body, field, admin: Speaker):
    refused = admin.post(HOOKS, body)
    assert refused.status_code == 422, refused.text
    assert [error["field"] for error in refused.json["errors"]] == [field]
    assert admin.get(HOOKS).json == {"items": []}
    place = made(admin).headers["Location"]
    assert admin.put(place, body, If_Match="*").status_code == 422


def test_every_event_can_be_subscribed_to(admin: Speaker):
    posted = admin.post(HOOKS, asked(events=[name.value for name in SUBSCRIBABLE]))
    assert posted.json["events"] == sorted(name.value for name in SUBSCRIBABLE)


def test_under_a_key_it_is_made_once_and_answered_alike(admin: Speaker):
    first, again = (admin.post(HOOKS, HOOK, Idempotency_Key="once") for _ in range(2))
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json == {**first.json, "secret": None}
    assert first.json["secret"].startswith("whsec_")
    assert len(admin.get(HOOKS).json["items"]) == 1
    place = first.headers["Location"]
    pings = [admin.post(f"{place}/ping", Idempotency_Key="ping") for _ in range(2)]
    assert pings[0].data == pings[1].data
    assert len(admin.get(f"{place}/deliveries").json["items"]) == 1


def test_another_secret_is_shown_once(admin: Speaker, check):
    posted = made(admin)
    place = posted.headers["Location"]
    assert admin.post(f"{place}/rotate", {}).status_code == 428
    rotated = admin.post(f"{place}/rotate", {"old_valid_h": 2}, If_Match=posted.headers["ETag"])
    assert rotated.status_code == 200
    assert check(rotated)["secret"] != posted.json["secret"]
    assert rotated.json["old_secret_until"] is not None
    assert "secret" not in admin.get(place).json
    assert admin.post(f"{place}/rotate", {}, If_Match=posted.headers["ETag"]).status_code == 412
    assert admin.post(f"{place}/rotate", {"old_valid_h": 169}, If_Match="*").status_code == 422
    ended = admin.post(f"{place}/rotate", {"old_valid_h": 0}, If_Match="*")
    assert ended.json["old_secret_until"] is None


def test_deliveries_are_told_page_by_page_and_one_with_what_it_sends(admin: Speaker, runtime, queue, check):
    place = made(admin).headers["Location"]
    sent = [admin.post(f"{place}/ping").json["id"] for _ in range(3)]
    assert queue.depth(QueueName.WEBHOOKS) == 2
    first = admin.get(f"{place}/deliveries?limit=2")
    second = admin.get(f"{place}/deliveries?limit=2&cursor={check(first)['next_cursor']}")
    listed = [*first.json["items"], *check(second)["items"]]
    assert [one["id"] for one in listed] == sorted(sent, reverse=True)
    assert {one["status"] for one in listed} == {"pending"}
    assert admin.get(f"{place}/deliveries?status=delivered").json == {"items": []}
    assert len(admin.get(f"{place}/deliveries?event=webhook.ping").json["items"]) == 3
    assert admin.get(f"{place}/deliveries?event=x").status_code == 422
    whole = admin.get(f"{place}/deliveries/{sent[0]}")
    assert '"event":"webhook.ping"' in check(whole)["body"]
    assert admin.get(f"{place}/deliveries/{sent[0]}", If_None_Match=whole.headers["ETag"]).status_code == 304
    assert admin.post(f"{place}/deliveries/{sent[0]}/replay").status_code == 409
    assert admin.get(f"{place}/deliveries/whd_0").status_code == 404
    admin.put(place, asked(enabled=False), If_Match="*")
    _, (delivery_id,) = queue.sent.pop(0)
    assert not deliver(runtime, delivery_id)
    gave_up = admin.get(f"{place}/deliveries?status=gave_up").json["items"]
    assert {one["error"] for one in gave_up} == {"webhook_disabled"}
    assert admin.post(f"{place}/ping").status_code == 409
    admin.put(place, HOOK, If_Match="*")
    replayed = admin.post(f"{place}/deliveries/{sent[0]}/replay")
    assert (replayed.status_code, check(replayed)["replay_of"]) == (201, sent[0])
    assert replayed.json["event_id"] == whole.json["event_id"]


def test_a_run_that_ends_and_one_that_is_known_are_told_of(admin: Speaker, acme, queue, work):
    place = made(admin).headers["Location"]
    body = {
        "workload": {
            "kind": "training",
            "model": "llama-3.1-8b",
            "method": "sft",
            "tokens": 1e9,
            "target": {"gpus": 8},
        }
    }
    first = acme.post("/v1/workloads", body).json["id"]
    work()
    acme.get(f"/v1/runs/{first}")
    second = acme.post("/v1/workloads", body)
    assert second.json["cached"]
    keyed = acme.post("/v1/workloads", body, Idempotency_Key="third")
    assert keyed.json["cached"]
    told = admin.get(f"{place}/deliveries?event=run.done").json["items"]
    bodies = [admin.get(f"{place}/deliveries/{one['id']}").json["body"] for one in reversed(told)]
    said = [(json.loads(each)["subject"]["id"], json.loads(each)["data"]["cached"]) for each in bodies]
    assert sorted(said) == sorted([(first, False), (second.json["id"], True), (keyed.json["id"], True)])
