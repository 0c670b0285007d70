"""Schedules with real worker, dispatcher and broker: a worker killed in the middle, a dispatcher before a tick."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from service.planning.batch.reading import get_batch
from service.planning.cancel import cancel
from service.planning.schedule.asking import run_now
from service.planning.schedule.reading import list_occurrence_items, list_occurrences
from service.planning.schedule.writing import create
from service.planning.submit import submit
from service.planning.transact import transact
from service.store.tables.schedules import OccurrenceStatus, Outcome, ScheduleRow
from tests.planning.conftest import chat
from tests.planning.schedule.conftest import saying
from tests.workers.conftest import eventually

pytestmark = pytest.mark.slow


def unanswered(web, caller, count):
    """Workloads whose first run was cancelled."""
    for n in range(count):
        run = submit(web, caller, chat(osl_tokens=300 + n), request_id="req_1")
        cancel(web, caller, run.id, request_id="req_1")


def due_at(web, schedule, moment: datetime):
    """Its next tick, as if it had been made so long ago."""
    query = update(ScheduleRow).where(ScheduleRow.id == schedule.id).values(next_at=moment)
    transact(web, lambda session: session.execute(query))


def ended(web, caller, schedule, *, count=1):
    found = list_occurrences(web, caller, schedule.id)
    return found if len(found) >= count and all(not one.open for one in found) else None


def outcomes(web, caller, occurrence):
    return Counter(item.outcome for item in list_occurrence_items(web, caller, occurrence.id))


def test_a_worker_killed_in_the_middle_of_an_occurrence_loses_nothing(web, acme, processes, gate):
    unanswered(web, acme, 4)
    schedule = create(web, acme, saying(), request_id="req_1")
    (gate / "gate").touch()
    (gate / "die resizing").touch()
    processes.dispatcher()
    worker = processes.worker()
    run_now(web, acme, schedule.id, request_id="req_2")
    eventually((gate / "started").exists, say=lambda: processes.log("worker"))
    processes.kill(worker)
    (gate / "gate").unlink()
    processes.worker()
    say = lambda: f"{list_occurrences(web, acme, schedule.id)}\n{processes.log('worker')[-3000:]}"  # noqa: E731
    [done] = eventually(lambda: ended(web, acme, schedule), within_s=60, say=say)
    assert (done.items, done.compared_items, done.error_code) == (4, 4, None)
    assert get_batch(web, acme, done.batch_id).counts.done == 4
    assert outcomes(web, acme, done) == {Outcome.FIRST: 4}


def test_a_dispatcher_killed_before_a_tick_is_replaced_and_the_tick_runs_once(web, acme, processes):
    schedule = create(web, acme, saying(cron="0 0 1 1 *"), request_id="req_1")
    first = processes.dispatcher()
    processes.worker()
    eventually(lambda: "dispatcher_leads" in processes.log("dispatcher"))
    tick = web.clock() + timedelta(seconds=1)
    due_at(web, schedule, tick)
    processes.kill(first)
    processes.dispatcher()
    processes.dispatcher()
    say = lambda: processes.log("dispatcher")[-3000:]  # noqa: E731
    [done] = eventually(lambda: ended(web, acme, schedule), say=say)
    assert (done.status, done.due_at) == (OccurrenceStatus.DONE, tick)
    # Nothing is due again for as long as the second one looks.
    eventually(lambda: web.clock() > done.finished_at + timedelta(seconds=1))
    assert len(list_occurrences(web, acme, schedule.id)) == 1
