"""A delivery against a real sink, on each database: signed, repeated, given up; who may send it, and who dies."""

import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from service.errors import ConflictError
from service.outbound import TOTAL_S as LONGEST_S
from service.outbound import Outbound
from service.planning.audit import list_events
from service.planning.delivery.backoff import next_due
from service.planning.delivery.deliver import deliver, lease_of
from service.planning.delivery.feed import feed_deliveries
from service.planning.delivery.reading import get_delivery, list_deliveries, ping, replay
from service.planning.keys import set_tenant_disabled
from service.planning.state import state
from service.planning.sweep import sweep
from service.planning.transact import transact
from service.planning.webhook_changes import change, create, delete, get_webhook, list_webhooks, rotate
from service.planning.webhooks import Announcement, EventName, announce
from service.quoting.steps import QuoteStep
from service.schemas.webhook import WebhookRequest
from service.store import deliveries as store
from service.store.deliveries import DeliveryFilter
from service.store.filters import AuditFilter
from service.store.tables.webhooks import WebhookDeliveryRow
from tests.fakes import NOON
from tests.planning.delivery.conftest import LOOPBACK, TOTAL_S

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


class FlippingResolver:
    """A name that was public when it was saved, and is this machine when something is sent."""

    def __init__(self):
        self.addresses = ["93.184.215.14"]

    def __call__(self, _host, _timeout_s):
        return self.addresses


def test_a_name_that_flips_to_loopback_is_refused_at_send(rig):
    resolver = FlippingResolver()
    strict = rig.build(outbound=Outbound(resolver=resolver, total_s=TOTAL_S))
    request = WebhookRequest(name=None, url="https://hooks.example:8443/x", events=("run.done",), enabled=True)
    create(strict, rig.admin, request, request_id="req_1")
    resolver.addresses = ["127.0.0.1"]
    rig.happen()
    assert rig.work(within=strict) == 1
    [row] = rig.deliveries()
    assert (row.status, row.error, row.status_code) == ("pending", "refused_address", None)
    assert "loopback" in row.excerpt
    assert rig.sink.connections == 0


class Died(BaseException):
    """The worker is killed here."""


class DyingOutbound(Outbound):
    """Sends, and dies before anybody can write down that it did."""

    def post(self, url, body, headers):
        super().post(url, body, headers)
        raise Died


def test_a_worker_that_dies_between_send_and_commit_has_sent_what_comes_again(rig):
    rig.hooked()
    rig.happen()
    dying = rig.build(outbound=DyingOutbound(allowed=LOOPBACK, total_s=TOTAL_S))
    feed_deliveries(dying)
    [(_, [delivery_id])] = rig.queue.sent
    with pytest.raises(Died):
        deliver(dying, delivery_id)
    rig.queue.sent.clear()
    assert rig.work() == 0
    assert not deliver(rig.runtime, delivery_id)
    rig.clock.advance(lease_of(rig.runtime.settings) + rig.runtime.settings.resend_after_s + 1)
    assert rig.work() == 1
    one, other = rig.sink.received
    assert (one.body, one.headers["headroom-event-id"]) == (other.body, other.headers["headroom-event-id"])
    [row] = rig.deliveries()
    assert (row.status, row.attempts, row.lease_token) == ("delivered", 2, 2)
    mended = rig.runtime.metrics.collected().get_sample_value
    assert mended("headroom_mended_total", {"what": "delivery_lease_expired"}) == 1


def test_a_receiver_that_takes_all_its_time_is_not_overtaken(rig):
    """Whatever the lease of runs: it may be shorter than a receiver may take."""
    assert rig.runtime.settings.lease_s < LONGEST_S
    rig.hooked()
    rig.happen()
    feed_deliveries(rig.runtime)
    delivery_id = rig.rung()
    overtaken = []

    class SlowOutbound(Outbound):
        def post(self, url, body, headers):
            rig.clock.advance(LONGEST_S)
            overtaken.append(deliver(rig.runtime, delivery_id))
            return super().post(url, body, headers)

    assert deliver(rig.build(outbound=SlowOutbound(allowed=LOOPBACK, total_s=TOTAL_S)), delivery_id)
    assert overtaken == [False]
    assert len(rig.sink.received) == 1


def test_a_worker_that_comes_back_too_late_writes_nothing(rig):
    rig.hooked("/500")
    rig.happen()
    feed_deliveries(rig.runtime)
    delivery_id = rig.rung()
    now = rig.clock()
    first = transact(rig.runtime, lambda session: store.claim(session, delivery_id, now=now, lease_s=3.0))
    assert transact(rig.runtime, lambda session: store.claim(session, delivery_id, now=now, lease_s=3.0)) is None
    rig.clock.advance(4)
    second = transact(rig.runtime, lambda session: store.claim(session, delivery_id, now=rig.clock(), lease_s=3.0))
    ended = {"status": "delivered", "ended_at": rig.clock()}
    assert not transact(rig.runtime, lambda session: store.settle(session, first, **ended))
    assert transact(rig.runtime, lambda session: store.settle(session, second, **ended))
    assert rig.deliveries()[0].attempts == 2


def test_a_canary_never_leaves_to_another_tenants_webhook(rig):
    rig.hooked("/rival", caller=rig.rival, events=("run.done", "webhook.disabled"))
    mine = rig.hooked("/mine")
    rig.happen("run_canary")
    rig.work()
    assert [one.path for one in rig.sink.received] == ["/mine"]
    assert list_webhooks(rig.runtime, rig.rival, state=None)[0].url.endswith("/rival")
    stolen = store.DeliveryFilter()
    with pytest.raises(Exception, match="There is no webhook"):
        list_deliveries(rig.runtime, rig.rival, mine.id, only=stolen)


def test_a_row_that_pairs_two_tenants_is_not_sent(rig):
    foreign = rig.hooked("/rival", caller=rig.rival)
    rig.hooked("/mine")
    rig.happen()
    feed_deliveries(rig.runtime)
    [(_, [delivery_id])] = rig.queue.sent

    def corrupt(session):
        session.get(WebhookDeliveryRow, delivery_id).webhook_id = foreign.id

    transact(rig.runtime, corrupt)
    with pytest.raises(Exception, match="No row"):
        deliver(rig.runtime, delivery_id)
    assert rig.sink.received == []


def test_nothing_is_sent_for_a_disabled_tenant(rig):
    rig.hooked()
    rig.happen()
    feed_deliveries(rig.runtime)
    delivery_id = rig.rung()
    set_tenant_disabled(rig.runtime, rig.admin.tenant_id, disabled=True)
    assert not deliver(rig.runtime, delivery_id)
    assert rig.work() == 0
    assert (rig.sink.received, rig.deliveries()[0].status) == ([], "pending")


def test_a_deleted_webhook_hears_nothing_and_is_not_found(rig):
    made = rig.hooked()
    rig.happen()
    delete(rig.runtime, rig.admin, made.id, version=None, request_id="req_2")
    assert rig.happen("run_2") == 0
    assert rig.work() == 0
    assert (rig.sink.received, [one.error for one in rig.deliveries()]) == ([], ["webhook_deleted"])
    with pytest.raises(Exception, match="There is no webhook"):
        get_webhook(rig.runtime, rig.admin, made.id)


def test_there_are_so_many_and_no_more(rig):
    for number in range(20):
        rig.hooked(f"/{number}")
    with pytest.raises(ConflictError, match="at most 20"):
        rig.hooked("/21")


def test_what_reached_a_webhook_that_had_just_been_deleted_is_given_up(rig):
    hook = rig.hooked()
    other = rig.build()
    assert transact(other, lambda session: other.listeners.of(session.connection(), rig.admin.tenant_id))
    delete(rig.runtime, rig.admin, hook.id, version=None, request_id="req_2")
    # Another process still takes it for a listener, for as long as it remembers.
    said = Announcement(
        tenant_id=rig.admin.tenant_id, name=EventName.RUN_DONE, subject_id="run_1", href="/v1/runs/run_1", data={},
        at=rig.clock(),
    )  # fmt: skip
    assert transact(other, lambda session: announce(other, session, said)) == 1
    assert rig.work() == 0
    sweep(rig.runtime)
    [one] = rig.deliveries()
    assert (one.status, one.error) == ("gave_up", "webhook_disabled")
    assert rig.sink.received == []


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
