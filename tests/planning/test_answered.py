"""Questions that have been answered before: written together, each for itself."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from service.access import Role
from service.planning.execute import execute
from service.planning.keys import authenticate, create_key, create_tenant
from service.planning.reading import get_run, get_workload, run_answer
from service.planning.submit import submit
from service.store.tables.runs import ResultRow, RunRow
from service.store.tables.workloads import WorkloadRow
from tests.planning.conftest import chat


def answered_once(runtime, caller, queue, **workload):
    """A question that the tenant has asked, with its answer in this process's memory."""
    first = submit(runtime, caller, chat(**workload), request_id="req_0")
    assert execute(runtime, queue.take())
    done = get_run(runtime, caller, first.id)
    run_answer(runtime, done)
    return done


@pytest.fixture
def rival(runtime):
    key = create_key(runtime, create_tenant(runtime, "rival"), principal="eve", role=Role.REQUESTER)
    return authenticate(runtime, key.token)


def test_a_run_that_was_written_with_others_is_like_one_that_was_written_alone(runtime, caller, queue):
    done = answered_once(runtime, caller, queue)
    request = replace(chat(), name="again", labels={"team": "ops"})
    again = submit(runtime, caller, request, request_id="req_9")
    read = get_run(runtime, caller, again.id)
    assert read == again
    assert (again.status, again.cached, again.feasible, again.attempts) == ("done", True, True, 0)
    assert (again.result, again.digest, again.versions) == (done.result, done.digest, done.versions)
    assert again.finished_at == again.started_at == again.created_at == runtime.clock()
    workload = get_workload(runtime, caller, again.workload_id)
    assert (workload.name, workload.labels, workload.version) == ("again", {"team": "ops"}, 1)
    assert (workload.principal, workload.question) == (caller.principal, done.question)


def test_many_at_once_of_two_tenants_each_get_their_own(runtime, caller, rival, queue):
    mine = answered_once(runtime, caller, queue)
    theirs = answered_once(runtime, rival, queue)
    only_mine = answered_once(runtime, caller, queue, isl_tokens=500)
    barrier = threading.Barrier(12)

    def ask(number: int):
        barrier.wait()
        who = (caller, rival)[number % 2]
        request = replace(chat(), name=f"n{number}")
        return who, submit(runtime, who, request, request_id=f"req_{number}")

    with ThreadPoolExecutor(12) as pool:
        asked = list(pool.map(ask, range(12)))
    for number, (who, run) in enumerate(asked):
        assert (run.status, run.tenant_id, run.request_id) == ("done", who.tenant_id, f"req_{number}")
        assert get_workload(runtime, who, run.workload_id).name == f"n{number}"
        assert get_run(runtime, who, run.id).result == (mine if who is caller else theirs).result
    assert len({run.id for _, run in asked}) == 12
    assert submit(runtime, rival, chat(isl_tokens=500), request_id="req").status == "queued"
    assert only_mine.tenant_id == caller.tenant_id


def test_one_that_the_store_forgot_does_not_hold_up_the_others(runtime, caller, queue):
    kept = answered_once(runtime, caller, queue)
    forgotten = answered_once(runtime, caller, queue, isl_tokens=500)
    with runtime.sessions.begin() as session:
        session.delete(session.get(ResultRow, (caller.tenant_id, forgotten.digest)))
    barrier = threading.Barrier(8)

    def ask(number: int):
        barrier.wait()
        question = {} if number % 2 else {"isl_tokens": 500}
        return submit(runtime, caller, chat(**question), request_id="req").status

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert found == ["queued", "done"] * 4
    assert len(queue.sent) == 1
    assert kept.digest != forgotten.digest
    with runtime.sessions() as session:
        assert session.scalar(select(func.count()).select_from(RunRow)) == 10
        assert session.scalar(select(func.count()).select_from(WorkloadRow)) == 10


def test_the_same_words_are_looked_through_once_and_other_words_mean_the_same(runtime, caller, queue):
    done = answered_once(runtime, caller, queue)
    spelled_out = chat(isl_tokens={"mean": 1000.0})
    assert spelled_out.spelling != chat().spelling
    assert submit(runtime, caller, spelled_out, request_id="req").digest == done.digest
    newer = replace(runtime, price_book=replace(runtime.price_book, digest="sha256:other"))
    assert submit(newer, caller, chat(), request_id="req").digest != done.digest
