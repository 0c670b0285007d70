"""Who may send a delivery, to whom, and who dies over it, against a real sink, on each database."""

import pytest

from service.errors import ConflictError
from service.outbound import TOTAL_S as LONGEST_S
from service.outbound import Outbound
from service.planning.delivery.deliver import deliver, lease_of
from service.planning.delivery.feed import feed_deliveries
from service.planning.delivery.reading import list_deliveries
from service.planning.keys import set_tenant_disabled
from service.planning.sweep import sweep
from service.planning.transact import transact
from service.planning.webhook_changes import create, delete, get_webhook, list_webhooks
from service.planning.webhooks import Announcement, EventName, announce
from service.schemas.webhook import WebhookRequest
from service.store import deliveries as store
from service.store.tables.webhooks import WebhookDeliveryRow
from tests.planning.delivery.conftest import LOOPBACK, TOTAL_S


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
