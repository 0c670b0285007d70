"""Whoever rings for a run and whoever takes it lock the same rows; in one order, so that neither waits for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event

from service.planning.execute import execute
from service.planning.ring import ring
from service.planning.submit import submit
from service.planning.sweep import relay
from service.planning.transact import transact
from service.queue import ROUTES, TaskName
from service.store import outbox
from service.store.bells import bell_of
from service.store.tables.runs import RunRow
from tests.planning.conftest import chat

ROUNDS = 40
DEADLOCK = "40P01"


@pytest.fixture
def two(build):
    """Two processes, and the deadlocks that the database broke between them: what retries them would hide them."""
    found: list[str] = []
    processes = [build(), build()]
    for process in processes:
        if process.sessions.kw["bind"].dialect.name != "postgresql":
            pytest.skip("SQLite has one lock for everything")

        @event.listens_for(process.sessions.kw["bind"], "handle_error")
        def _(context):
            found.append(getattr(context.original_exception, "sqlstate", None))

    return *processes, found


def unrung(runtime, caller, clock, number):
    """A queued run of a question of its own that is still to be rung for."""
    run = submit(runtime, caller, chat(isl_tokens=100 + number), request_id="req_1")
    task = TaskName.SIZE_WORKLOAD
    transact(
        runtime,
        lambda session: outbox.add(session, task=task, queue=ROUTES[task], entity_id=run.id, now=clock.now),
    )
    clock.advance(60)
    with runtime.sessions() as session:
        return bell_of(session.get(RunRow, run.id))


def ring_one(runtime, bell):
    assert ring(runtime, bell)


def ring_all(runtime, _):
    relay(runtime)


def claim(runtime, bell):
    # An answer of no interest: the run need only be taken.
    execute(runtime, bell.run_id, solve=broken)


def broken(*_):
    raise RuntimeError("the engine broke")


@pytest.mark.parametrize("rings", [ring_one, ring_all])
def test_a_ring_and_a_claim_at_once_never_deadlock(rings, two, runtime, caller, clock):
    ringer, claimer, found = two
    barrier = threading.Barrier(2)

    def act(pair):
        process, does, bell = pair
        barrier.wait(10)
        does(process, bell)

    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            bell = unrung(runtime, caller, clock, number)
            list(pool.map(act, [(ringer, rings, bell), (claimer, claim, bell)]))
    assert DEADLOCK not in found
