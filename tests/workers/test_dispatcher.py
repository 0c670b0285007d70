import threading
from dataclasses import replace

import pytest

from service.planning.heartbeat import DISPATCHER
from service.planning.schedule.writing import create
from service.planning.submit import submit
from service.queue import TaskName
from service.runtime import build_runtime
from service.store import processes
from tests.planning.conftest import chat
from tests.planning.schedule.conftest import DAY_S, saying
from workers.dispatcher import Dispatcher


@pytest.fixture
def dispatcher(runtime):
    return Dispatcher(runtime=runtime)


def test_a_turn_relays_and_a_later_one_sweeps(runtime, caller, queue, clock, dispatcher):
    assert dispatcher.turn(0.0)
    queue.sent.clear()
    queue.up = False
    submit(runtime, caller, chat(), request_id="req_1")
    queue.up = True
    clock.advance(2)
    assert dispatcher.turn(0.5)
    assert len(queue.sent) == 1
    queue.sent.clear()
    clock.advance(2)
    assert dispatcher.turn(0.6)
    assert queue.sent == []
    assert dispatcher.turn(1.1)
    assert len(queue.sent) == 1


def test_somebody_is_rung_now_and_then_to_remove_what_is_old(queue, dispatcher):
    assert dispatcher.turn(0.0)
    assert dispatcher.turn(1.0)
    assert queue.sent == [(TaskName.PRUNE, ())]
    assert dispatcher.turn(601.0)
    assert queue.sent == [(TaskName.PRUNE, ())] * 2


def test_a_tick_that_has_come_is_rung_for(runtime, caller, queue, clock, dispatcher):
    create(runtime, caller, saying(), request_id="req_1")
    clock.advance(DAY_S)
    assert dispatcher.turn(0.0)
    assert [task for task, _ in queue.sent] == [TaskName.RESIZE_STALE, TaskName.PRUNE]


def test_the_second_stands_by_and_takes_over(runtime, clock, dispatcher):
    second = Dispatcher(runtime=runtime)
    assert dispatcher.turn(0.0)
    assert not second.turn(0.0)
    clock.advance(runtime.settings.dispatcher_lease_s + 0.1)
    assert second.turn(1.0)
    assert not dispatcher.turn(1.0)


def test_it_writes_heartbeats_while_it_stands_by(runtime, clock, dispatcher):
    Dispatcher(runtime=runtime).turn(0.0)
    clock.advance(1)
    dispatcher.turn(0.0)
    with runtime.sessions() as session:
        assert processes.last_seen(session, DISPATCHER) == clock.now


def test_an_outage_of_the_database_does_not_end_it(settings, facts, queue):
    away = replace(settings, database_url="postgresql+psycopg://nobody@127.0.0.1:1/none", outbox_poll_s=0.01)
    dispatcher = Dispatcher(runtime=build_runtime(away, facts=facts, queue=queue))
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    dispatcher.stop.wait(0.2)
    assert thread.is_alive()
    dispatcher.stop.set()
    thread.join(10)
    assert not thread.is_alive()
