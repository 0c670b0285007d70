"""Which deliveries are rung for, and when: once each, the tenants in turn, and no slow webhook before the others."""

from service.outbound import Outbound
from service.planning.delivery.deliver import deliver
from service.planning.delivery.feed import feed_deliveries
from tests.planning.delivery.conftest import LOOPBACK, TOTAL_S


def test_two_dispatchers_ring_once(rig):
    rig.hooked()
    rig.happen()
    first, second = (rig.build(outbound=Outbound(allowed=LOOPBACK, total_s=TOTAL_S)) for _ in range(2))
    assert [feed_deliveries(first), feed_deliveries(second)] == [1, 0]
    assert len(rig.queue.sent) == 1
    [(_, [delivery_id])] = rig.queue.sent
    assert [deliver(first, delivery_id), deliver(second, delivery_id)] == [True, False]
    assert len(rig.sink.received) == 1


def test_a_message_that_comes_again_after_a_failure_does_not_hurry_it(rig):
    rig.hooked("/500")
    rig.happen()
    feed_deliveries(rig.runtime)
    [(_, [delivery_id])] = rig.queue.sent
    assert rig.work() == 1
    assert not deliver(rig.runtime, delivery_id)
    assert len(rig.sink.received) == 1


def test_a_broker_that_is_away_is_rung_when_it_is_back(rig):
    rig.hooked()
    rig.happen()
    rig.queue.up = False
    assert feed_deliveries(rig.runtime) == 0
    rig.queue.up = True
    assert rig.work() == 1


def test_a_webhook_that_fails_is_left_alone_and_one_of_many_tries(rig):
    rig.hooked("/500")
    for number in range(30):
        rig.happen(f"run_{number}")
    assert rig.work() == 1
    rig.clock.advance(11)
    assert rig.work() == 1
    assert len(rig.sink.received) == 2


def test_a_webhook_that_is_well_again_takes_all_that_waits(rig):
    rig.hooked()
    rig.sink.answers = [500]
    for number in range(30):
        rig.happen(f"run_{number}")
    rig.work()
    rig.clock.advance(15)
    rig.work()
    assert {one.status for one in rig.deliveries()} == {"delivered"}


def test_tenants_take_turns_and_a_slow_webhook_holds_up_its_own_only(rig):
    for number in range(10):
        rig.hooked(f"/a{number}")
    rig.hooked("/b", caller=rig.rival)
    for number in range(10):
        rig.happen(f"run_{number}")
    rig.happen("run_b", caller=rig.rival)
    while feed_deliveries(rig.runtime):
        pass
    assert len(rig.queue.sent) == 8
    owner = {row.id: row.tenant_id for row in rig.deliveries()}
    rung = [owner[ids[0]] for _, ids in rig.queue.sent]
    assert rung.count(rig.rival.tenant_id) == 1
    assert rig.rival.tenant_id in rung[:2]


def test_of_one_webhook_two_are_on_their_way_at_most(rig):
    rig.hooked()
    for number in range(10):
        rig.happen(f"run_{number}")
    while feed_deliveries(rig.runtime):
        pass
    assert len(rig.queue.sent) == 2
