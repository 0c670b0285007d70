"""A delivery against a real sink, on each database: signed, repeated, given up."""

import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from service.errors import ConflictError
from service.planning.audit import list_events
from service.planning.delivery.backoff import next_due
from service.planning.delivery.reading import get_delivery, list_deliveries, ping, replay
from service.planning.state import state
from service.planning.webhook_changes import change, get_webhook, list_webhooks, rotate
from service.quoting.steps import QuoteStep
from service.schemas.webhook import WebhookRequest
from service.store.deliveries import DeliveryFilter
from service.store.filters import AuditFilter
from tests.fakes import NOON

ANY = DeliveryFilter()
WINDOW_S = 72 * 3600


def keys_that_sign(received, *secrets):
    """The secrets that a delivery is signed with, as its receiver finds out."""
    time, *signatures = received.headers["headroom-signature"].split(",")
    signed = time.removeprefix("t=").encode() + b"." + received.body
    return [
        secret
        for secret in secrets
        if f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}" in signatures
    ]


def test_an_event_arrives_signed_and_is_done_with(rig):
    webhook = rig.hooked()
    rig.happen()
    assert rig.work() == 1
    [received] = rig.sink.received
    assert keys_that_sign(received, webhook.secret, "whsec_other") == [webhook.secret]
    assert received.headers["headroom-signature"].startswith(f"t={int(NOON.timestamp())},v1=")
    body = json.loads(received.body)
    assert (body["event"], body["subject"]["id"]) == ("run.done", "run_1")
    assert received.headers["headroom-event-id"] == body["id"]
    assert received.headers["content-type"] == "application/json"
    [row] = rig.deliveries()
    assert (row.status, row.attempts, row.status_code, row.excerpt) == ("delivered", 1, 200, "said 200")
    rig.clock.advance(WINDOW_S)
    assert rig.work() == 0


@pytest.mark.parametrize(
    ("path", "error", "status_code"),
    [
        ("/500", "http_500", 500),
        ("/redirect", "http_302", 302),
        ("/silent", "timeout", None),
        ("/drip-head", "timeout", None),
    ],
)
def test_what_is_not_taken_comes_again_later_each_time_and_the_same(path, error, status_code, rig):
    webhook, runtime = rig.hooked(path), rig.hasty() if error == "timeout" else rig.runtime
    rig.happen()
    for attempt, pause_s in enumerate((0, 13, 25), 1):
        rig.clock.advance(pause_s)
        assert rig.work(within=runtime) == 1
        assert rig.work(within=runtime) == 0
        [row] = rig.deliveries()
        assert (row.status, row.attempts, row.error, row.status_code) == ("pending", attempt, error, status_code)
        assert row.due_at - rig.clock() >= timedelta(seconds=7.5 * 2 ** (attempt - 1))
    assert len({one.body for one in rig.sink.received}) == 1
    assert len(rig.sink.received) == 3
    assert "/canary" not in [one.path for one in rig.sink.received]
    stamps = [one.headers["headroom-signature"].split(",")[0] for one in rig.sink.received]
    assert len(set(stamps)) == 3
    assert all(keys_that_sign(one, webhook.secret) for one in rig.sink.received)


@pytest.mark.parametrize("path", ["/trickle", "/huge"])
def test_the_status_is_the_answer_whatever_follows(path, rig):
    rig.hooked(path)
    rig.happen()
    rig.work(within=rig.hasty() if path == "/trickle" else rig.runtime)
    [row] = rig.deliveries()
    assert (row.status, row.status_code) == ("delivered", 200)
    assert len(row.excerpt) <= 500


def test_pauses_double_up_to_a_limit_and_end_with_the_window(rig):
    settings = rig.runtime.settings

    def middle(low, high):
        return (low + high) / 2

    due = [next_due(settings, attempts=n, created_at=NOON, now=NOON, spread=middle) for n in range(1, 40)]
    pauses = [(each - NOON).total_seconds() for each in due]
    assert pauses[:4] == [10, 20, 40, 80]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 6 * 3600
    due = [next_due(rig.runtime.settings, attempts=3, created_at=NOON, now=NOON) for _ in range(50)]
    assert len(set(due)) > 10
    assert all(30 <= (each - NOON).total_seconds() <= 50 for each in due)
    last = NOON + timedelta(seconds=WINDOW_S)
    late = last - timedelta(seconds=5)
    assert next_due(rig.runtime.settings, attempts=20, created_at=NOON, now=late) == last
    assert next_due(rig.runtime.settings, attempts=20, created_at=NOON, now=last) is None


def test_after_the_window_it_is_given_up_and_its_webhook_disabled_and_that_is_told(rig):
    failing, other = rig.hooked("/500"), rig.hooked("/other", events=("webhook.disabled",))
    rig.happen()
    hours = 0
    while rig.deliveries()[0].status == "pending" and hours < 100:
        rig.work()
        rig.clock.advance(6 * 3600)
        hours += 6
    assert 72 <= hours <= 84
    [row] = [one for one in rig.deliveries() if one.webhook_id == failing.id]
    assert (row.status, row.error) == ("gave_up", "http_500")
    found = get_webhook(rig.runtime, rig.admin, failing.id)
    assert (found.state, found.disabled_reason) == (
        "disabled",
        "Nothing got through since 2026-11-20 12:00 UTC.",
    )
    assert [one.id for one in list_webhooks(rig.runtime, rig.admin, state=found.state)] == [failing.id]
    [event] = list_events(rig.runtime, rig.admin, only=AuditFilter(action="webhook.disabled"))
    assert (event.resource_id, event.principal) == (failing.id, "the service itself")
    [told] = [one for one in rig.sink.received if one.path == "/other"]
    assert json.loads(told.body)["subject"]["id"] == failing.id
    assert get_webhook(rig.runtime, rig.admin, other.id).state == "active"
    assert rig.happen() == 0


def test_one_event_that_is_never_taken_disables_nothing_while_others_are(rig):
    made = rig.hooked()
    rig.sink.never = b"run_bad"
    rig.happen("run_bad")
    for hour in range(0, 84, 6):
        rig.work()
        rig.clock.advance(600)
        rig.happen(f"run_{hour}")
        rig.work()
        rig.clock.advance(6 * 3600)
    bad, *others = rig.deliveries()
    assert (bad.status, bad.error) == ("gave_up", "http_500")
    assert {one.status for one in others[:-1]} == {"delivered"}
    assert get_webhook(rig.runtime, rig.admin, made.id).state == "active"


def test_410_disables_at_once_and_what_was_on_its_way_can_be_replayed(rig):
    made = rig.hooked("/410")
    rig.happen("run_1")
    rig.happen("run_2")
    assert rig.work() == 1
    assert {(one.status, one.error) for one in rig.deliveries()} == {
        ("gave_up", "http_410"),
        ("gave_up", "webhook_disabled"),
    }
    assert "410" in get_webhook(rig.runtime, rig.admin, made.id).disabled_reason
    unsent = next(one for one in rig.deliveries() if one.error == "webhook_disabled")
    with pytest.raises(ConflictError, match="Enable it first"):
        replay(rig.runtime, rig.admin, made.id, unsent.id)
    request = WebhookRequest(name=None, url=rig.sink.url("/better"), events=("run.done",), enabled=True)
    enabled = change(rig.runtime, rig.admin, made.id, request, version=None, request_id="req_2")
    assert (enabled.state, enabled.disabled_at, enabled.failing_since) == ("active", None, None)
    again = replay(rig.runtime, rig.admin, made.id, unsent.id)
    rig.work()
    whole = get_delivery(rig.runtime, rig.admin, made.id, again.id)
    assert (whole.status, whole.event_id, whole.replay_of) == ("delivered", unsent.event_id, unsent.id)
    assert rig.sink.received[-1].body.decode() == whole.body


def test_a_replay_is_the_same_event_signed_anew(rig):
    made = rig.hooked()
    rig.happen()
    rig.work()
    [first] = rig.deliveries()
    rig.clock.advance(60)
    second = replay(rig.runtime, rig.admin, made.id, first.id)
    assert second.id != first.id
    with pytest.raises(ConflictError, match="on its way"):
        replay(rig.runtime, rig.admin, made.id, second.id)
    rig.work()
    one, other = rig.sink.received
    assert (one.body, one.headers["headroom-event-id"]) == (other.body, other.headers["headroom-event-id"])
    assert one.headers["headroom-signature"] != other.headers["headroom-signature"]
    assert [each.status for each in list_deliveries(rig.runtime, rig.admin, made.id, only=ANY)] == ["delivered"] * 2


def test_a_ping_arrives_whatever_is_subscribed_and_however_long_the_pause(rig):
    made = rig.hooked("/hook", events=("quote.issued",))
    ping(rig.runtime, rig.admin, made.id)
    rig.work()
    assert json.loads(rig.sink.received[0].body)["event"] == "webhook.ping"
    rig.sink.answers = [500] * 10
    rig.happen(name=QuoteStep.ISSUED)
    rig.work()
    rig.sink.answers = []
    assert rig.work() == 0
    ping(rig.runtime, rig.admin, made.id)
    assert rig.work() == 1
    assert {one.status for one in rig.deliveries() if one.event == "webhook.ping"} == {"delivered"}


def test_two_secrets_sign_while_one_replaces_the_other(rig):
    made = rig.hooked()
    rotated = rotate(rig.runtime, rig.admin, made.id, old_valid_h=2, version=made.version, request_id="req_2")
    assert rotated.secret != made.secret
    for hours in (0, 1, 2):
        rig.clock.advance(3600 * bool(hours))
        rig.happen(f"run_{hours}")
        rig.work()
    signed = [keys_that_sign(one, made.secret, rotated.secret) for one in rig.sink.received]
    assert signed == [[made.secret, rotated.secret]] * 2 + [[rotated.secret]]
    ended = rotate(rig.runtime, rig.admin, made.id, old_valid_h=0, version=None, request_id="req_3")
    rig.happen("run_4")
    rig.work()
    assert keys_that_sign(rig.sink.received[-1], made.secret, rotated.secret, ended.secret) == [ended.secret]


def test_an_event_is_late_while_its_webhook_would_take_it(rig):
    def late_s() -> float:
        return state(rig.runtime).stored.oldest_delivery_s

    rig.hooked("/500")
    assert late_s() == 0
    rig.happen()
    rig.clock.advance(30)
    assert late_s() == 30
    # It failed, and is left alone until its next attempt is due.
    assert rig.work() == 1
    assert late_s() == 0
