"""Batches with real worker, dispatcher and broker: killed in the middle, poisoned, and beside a person's question."""

import json
import os
import signal
import time

import pytest
from sqlalchemy import func, select

from service.planning.batch.reading import get_batch, results
from service.planning.reading import get_run
from service.planning.submit import submit
from service.queue import TaskName
from service.store.tables.batches import BatchAnswerRow, BatchStatus
from tests.planning.batch.conftest import asking, distinct, post
from tests.planning.conftest import chat
from tests.workers.conftest import eventually, hasty_limits, on_sqlite, own_limits

pytestmark = pytest.mark.slow


def done(web, caller, batch_id):
    batch = get_batch(web, caller, batch_id)
    return batch if batch.status is BatchStatus.DONE else None


def wait_for_end(web, caller, batch, processes, *, within_s=60):
    def say() -> str:
        return f"{get_batch(web, caller, batch.id)}\n{processes.log('worker')[-3000:]}"

    return eventually(lambda: done(web, caller, batch.id), within_s=within_s, say=say)


def test_a_worker_killed_in_the_middle_of_a_batch_loses_nothing(web, acme, processes, gate):
    (gate / "gate").touch()
    processes.dispatcher()
    worker = processes.worker()
    items = [*distinct(5), *distinct(2), asking("typo", model="lama-3.1-8b"), b"{"]
    batch = post(web, acme, *items)
    eventually((gate / "started").exists, say=lambda: processes.log("worker"))
    assert get_batch(web, acme, batch.id).counts.running > 0
    processes.kill(worker)
    (gate / "gate").unlink()
    processes.worker()
    ended = wait_for_end(web, acme, batch, processes)
    assert (ended.counts.done, ended.counts.refused, ended.reused_items) == (7, 2, 2)
    assert [item.line for item in results(web, acme, batch.id)] == list(range(1, 10))
    with web.sessions() as session:
        assert session.scalar(select(func.count()).select_from(BatchAnswerRow)) == 5


@on_sqlite
def test_a_worker_that_dies_between_storing_and_acknowledging_has_stored_once(web, acme, processes, gate):
    (gate / "die stored").touch()
    processes.dispatcher()
    processes.worker()
    batch = post(web, acme, *distinct(3))
    eventually(lambda: not (gate / "die stored").exists(), say=lambda: processes.log("worker"))
    ended = wait_for_end(web, acme, batch, processes)
    assert (ended.counts.done, ended.reused_items) == (3, 0)
    assert web.queue.enqueue(TaskName.SIZE_CHUNK, batch.id, "0")
    after = post(web, acme, *distinct(1, first=900))
    wait_for_end(web, acme, after, processes)
    assert get_batch(web, acme, batch.id) == ended


@on_sqlite
@hasty_limits
def test_an_item_that_kills_its_worker_fails_alone(web, acme, processes):
    processes.dispatcher()
    processes.worker()
    batch = post(web, acme, *distinct(3), asking("poison", osl_tokens=299), *distinct(3, first=400))
    ended = wait_for_end(web, acme, batch, processes, within_s=120)
    assert (ended.counts.done, ended.counts.failed) == (6, 1)
    [failed] = [item for item in results(web, acme, batch.id) if item.problem]
    assert (failed.line, json.loads(failed.problem)["code"]) == (4, "poison")


@on_sqlite
@hasty_limits
def test_items_over_which_a_worker_was_frozen_are_sized_when_it_wakes_up(web, acme, processes, gate):
    """For longer than every limit and its lease; the one item that was at work is tried again, whoever has it then."""
    (gate / "gate").touch()
    processes.dispatcher()
    worker = processes.worker()
    batch = post(web, acme, *distinct(1))
    eventually((gate / "started").exists, say=lambda: processes.log("worker"))
    os.killpg(worker.pid, signal.SIGSTOP)
    time.sleep(3)
    (gate / "gate").unlink()
    # What is asked of it comes before the limit does, as it may after a sleep.
    (gate / "pause").write_text("0.3")
    os.killpg(worker.pid, signal.SIGCONT)
    ended = wait_for_end(web, acme, batch, processes)
    assert (ended.counts.done, ended.counts.failed) == (1, 0), processes.log("worker")[-3000:]
    assert worker.poll() is None


@on_sqlite
@own_limits
def test_a_persons_question_does_not_wait_behind_a_batch(web, acme, processes):
    """One process for both: the batch gives way, and goes on afterwards."""
    processes.worker("workers.app")
    processes.dispatcher()
    batch = post(web, acme, *distinct(600))
    eventually(lambda: get_batch(web, acme, batch.id).counts.done, say=lambda: processes.log("worker"))
    run = submit(web, acme, chat(isl_tokens=777), request_id="req_2")
    eventually(lambda: get_run(web, acme, run.id).finished_at, say=lambda: processes.log("worker"))
    assert get_batch(web, acme, batch.id).status is BatchStatus.RUNNING
    assert wait_for_end(web, acme, batch, processes).counts.done == 600
