"""Bells and turns: a tenant that asks for much makes nobody wait, each run is sized once, and no bell is lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.planning.execute import _claim
from service.planning.reading import get_run
from service.planning.submit import submit
from service.planning.turn import execute_next
from service.store import outbox
from service.store.tables.runs import RunRow
from tests.planning.conftest import chat


@pytest.fixture
def flood(runtime, caller, clock):
    """The ids of many runs of one tenant, in the order in which they were rung for."""
    ids = []
    for n in range(6):
        # Ids of one moment have no order.
        clock.advance(0.01)
        ids.append(submit(runtime, caller, chat(isl_tokens=500 + n), request_id="req_1").id)
    return ids


def status_of(runtime, run_id: str) -> str:
    with runtime.sessions() as session:
        return session.get(RunRow, run_id).status


def test_another_tenant_waits_for_one_run_of_a_flood_and_not_for_all(runtime, caller, stranger, flood):
    late = submit(runtime, stranger, chat(), request_id="req_2").id
    bells = [*flood, late]
    for bell in bells[:2]:
        assert execute_next(runtime, bell)
    assert get_run(runtime, stranger, late).status == "done"
    assert [status_of(runtime, run_id) for run_id in flood].count("done") == 1
    for bell in bells[2:]:
        assert execute_next(runtime, bell)
    assert {status_of(runtime, run_id) for run_id in bells} == {"done"}
    # There were as many bells as runs, and each run was begun once.
    with runtime.sessions() as session:
        assert {session.get(RunRow, run_id).attempts for run_id in bells} == {1}
    assert not execute_next(runtime, late)


def test_a_tenant_alone_is_served_in_its_own_order(runtime, flood):
    execute_next(runtime, flood[3])
    assert [status_of(runtime, run_id) for run_id in flood].index("done") == 3
    # Its bell was heard already: the next one is for whoever has waited longest.
    execute_next(runtime, flood[3])
    assert status_of(runtime, flood[0]) == "done"


def test_the_bell_of_a_run_whose_worker_died_is_for_that_run(runtime, stranger, flood, clock):
    assert _claim(runtime, flood[0])
    submit(runtime, stranger, chat(), request_id="req_2")
    clock.advance(runtime.settings.lease_s + 1)
    assert execute_next(runtime, flood[0])
    assert status_of(runtime, flood[0]) == "done"


def test_the_bell_of_a_run_that_is_held_serves_another(runtime, flood):
    assert _claim(runtime, flood[0])
    assert execute_next(runtime, flood[0])
    assert (status_of(runtime, flood[0]), status_of(runtime, flood[1])) == ("running", "done")


def test_a_bell_that_is_still_to_be_rung_outlasts_the_run_that_another_bell_took(runtime, caller, stranger, queue):
    rung = submit(runtime, caller, chat(), request_id="req_1").id
    runtime.turns.served(caller.tenant_id)
    queue.up = False
    unrung = submit(runtime, stranger, chat(), request_id="req_2").id
    # Its own tenant comes first, by the bell of another, which has none of its own any more.
    assert execute_next(runtime, rung)
    assert (status_of(runtime, unrung), status_of(runtime, rung)) == ("done", "queued")
    with runtime.sessions() as session:
        assert outbox.count(session) == 1
    assert execute_next(runtime, unrung)
    assert status_of(runtime, rung) == "done"


def test_the_bell_of_a_run_that_may_not_be_tried_again_serves_another(runtime, flood, clock):
    for _ in range(runtime.settings.max_attempts):
        assert _claim(runtime, flood[0])
        clock.advance(runtime.settings.lease_s + 1)
    assert execute_next(runtime, flood[0])
    assert (status_of(runtime, flood[0]), status_of(runtime, flood[1])) == ("running", "done")


def test_workers_that_hear_at_once_take_each_run_once(build, runtime, stranger, flood):
    late = submit(runtime, stranger, chat(), request_id="req_2").id
    processes = [build() for _ in range(3)]
    bells = [*flood, late]
    with ThreadPoolExecutor(len(processes)) as pool:
        heard = [pool.submit(execute_next, processes[n % 3], bell) for n, bell in enumerate(bells)]
        assert [one.result(60) for one in heard] == [True] * len(bells)
    with runtime.sessions() as session:
        rows = [session.get(RunRow, run_id) for run_id in bells]
        assert {(row.status, row.attempts) for row in rows} == {("done", 1)}
