import json
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from service.errors import UnsupportedWorkloadError
from service.planning.answer import answer
from service.planning.execute import _claim, _store, execute
from service.planning.keys import set_tenant_disabled
from service.planning.reading import get_run
from service.planning.submit import submit
from service.planning.sweep import sweep
from service.planning.time_limit import MOST_SPARES
from service.planning.transact import transact
from service.planning.versions import record_release
from service.queue import TimeLimitReached
from service.schemas.workload import SizingRequestSchema
from service.sizing.workload import budget_usd
from service.store import runs
from service.store.tables.runs import ResultRow, RunRow
from tests.planning.conftest import chat, compute, row_of


def test_a_second_delivery_does_nothing(runtime, caller, run):
    assert execute(runtime, run.id)
    before = row_of(runtime, run.id)
    assert not execute(runtime, run.id)
    after = row_of(runtime, run.id)
    assert (after.attempts, after.lease_token, after.finished_at) == (1, 1, before.finished_at)


def test_an_unknown_id_does_nothing(runtime, run):
    assert not execute(runtime, "run_of_nobody")


def test_a_run_that_is_held_is_left_alone_until_the_lease_runs_out(runtime, caller, run, clock):
    def meanwhile(other, question):
        assert not execute(runtime, run.id)
        return answer(other, question)

    assert execute(runtime, run.id, solve=meanwhile)
    assert row_of(runtime, run.id).attempts == 1


def test_a_worker_that_was_overtaken_cannot_write(runtime, caller, run, clock):
    """The first holder stalls beyond its lease; the second does the work; the first one's late end is refused."""
    late = replace(runtime.price_book, name="late")

    def stall(slow, question):
        clock.advance(runtime.settings.lease_s + 1)
        assert execute(runtime, run.id)
        return answer(replace(slow, price_book=late), question)

    assert not execute(runtime, run.id, solve=stall)
    row = row_of(runtime, run.id)
    assert (row.status, row.attempts, row.lease_token) == ("done", 2, 2)
    assert json.loads(get_run(runtime, caller, run.id).result)["price_book_name"] != "late"


def test_the_newest_token_alone_may_write(runtime, caller, run, clock):
    """The first holder returns while the second is still at work: the row says running, and the token says whose."""
    newest = []

    def stall(slow, question):
        clock.advance(runtime.settings.lease_s + 1)
        newest.append(_claim(runtime, run.id))
        return answer(slow, question)

    assert not execute(runtime, run.id, solve=stall)
    row = row_of(runtime, run.id)
    assert (row.status, row.lease_token) == ("running", 2)
    with runtime.sessions() as session:
        assert session.scalar(select(func.count()).select_from(ResultRow)) == 0
    assert _store(runtime, newest[0], answer(runtime, row.question))
    assert get_run(runtime, caller, run.id).status == "done"


def test_a_run_cannot_end_while_somebody_joins_it(runtime, caller, run):
    """Whoever joins holds the leader still until the follower is written, so its end reaches the follower too."""
    ends = threading.Thread(target=execute, args=(runtime, run.id))

    def join(session):
        leader = runs.leader_of(session, caller.tenant_id, run.digest)
        ends.start()
        ends.join(0.5)
        assert ends.is_alive()
        values = {column.key: getattr(leader, column.key) for column in RunRow.__table__.columns}
        runs.add(session, RunRow(**{**values, "id": "run_follower", "follows_run_id": leader.id}))

    transact(runtime, join)
    ends.join(10)
    assert get_run(runtime, caller, "run_follower").status == "done"


def test_a_stale_failure_cannot_write_either(runtime, run, clock):
    def stall(_, __):
        clock.advance(runtime.settings.lease_s + 1)
        assert execute(runtime, run.id)
        raise RuntimeError("too late")

    assert not execute(runtime, run.id, solve=stall)
    assert row_of(runtime, run.id).status == "done"


def test_the_answer_is_byte_equal_wherever_it_is_computed(build, run):
    question = row_of(build(), run.id).question
    first, second = answer(build(), question), answer(build(), question)
    assert first.stored == second.stored
    assert first.digest == second.digest == run.digest


def test_the_worker_stores_its_own_versions(runtime, caller, run):
    newer = replace(runtime, catalog=replace(runtime.catalog, version="sha256:newer"))
    assert execute(newer, run.id)
    done = get_run(runtime, caller, run.id)
    assert done.versions.catalog == "sha256:newer"
    assert done.digest != run.digest
    assert done.result is not None
    assert submit(newer, caller, chat(), request_id="req_2").cached
    assert not submit(runtime, caller, chat(), request_id="req_3").cached


def test_an_engine_that_breaks_ends_the_run_and_keeps_the_reason_inside(runtime, caller, run):
    def broken(_, __):
        raise ZeroDivisionError("secret detail of the engine")

    assert execute(runtime, run.id, solve=broken)
    found = get_run(runtime, caller, run.id)
    assert (found.status, found.error.code, found.result) == ("failed", "engine_error", None)
    assert "secret" not in repr(found)
    assert "secret detail" in row_of(runtime, run.id).error_traceback
    assert not submit(runtime, caller, chat(), request_id="req_2").cached


def test_the_soft_limit_ends_a_run_that_computes(runtime, caller, run):
    def slow(_, __):
        compute(runtime.settings.task_soft_limit_s * 0.6)
        raise TimeLimitReached

    assert execute(runtime, run.id, solve=slow)
    error = get_run(runtime, caller, run.id).error
    assert (error.code, "narrow the constraints" in error.message) == ("time_limit", True)


def frozen(runtime, _):
    """Time passed, and nothing was computed."""
    time.sleep(runtime.settings.task_soft_limit_s)
    raise TimeLimitReached


def test_a_run_whose_worker_was_frozen_is_tried_again(runtime, caller, run, queue, clock):
    assert not execute(runtime, queue.take(), solve=frozen)
    spared = get_run(runtime, caller, run.id)
    assert (spared.status, spared.error) == ("running", None)
    clock.advance(0.1)
    assert sweep(runtime).rung == 1
    assert execute(runtime, queue.take())
    done = get_run(runtime, caller, run.id)
    assert (done.status, done.attempts) == ("done", 2)


def test_a_run_that_waits_for_ever_ends_as_well(runtime, caller, run, queue, clock):
    """A machine that gives no time, or something that never answers: nobody can tell, and somebody waits."""
    tries = 0
    while queue.sent:
        execute(runtime, queue.take(), solve=frozen)
        tries += 1
        clock.advance(0.1)
        sweep(runtime)
        assert tries < 10
    found = get_run(runtime, caller, run.id)
    assert (found.status, found.error.code, tries) == ("failed", "time_limit", MOST_SPARES + 1)
    assert "did not give it time" in found.error.message


def test_a_stop_without_fault_is_no_step_towards_poison(runtime, caller, run, queue, clock):
    class Killed(BaseException):
        pass

    def die(_, __):
        raise Killed

    for solve in (frozen, frozen, die, die):
        with suppress(Killed):
            execute(runtime, queue.take(), solve=solve)
        clock.advance(runtime.settings.lease_s + 1)
        sweep(runtime)
    assert execute(runtime, queue.take())
    done = get_run(runtime, caller, run.id)
    assert (done.status, done.attempts) == ("done", 5)


def test_who_lost_the_run_while_frozen_does_not_give_it_back(runtime, caller, run, clock):
    def overtaken(held, _):
        clock.advance(held.settings.lease_s + 1)
        assert execute(held, run.id)
        raise TimeLimitReached

    assert not execute(runtime, run.id, solve=overtaken)
    assert get_run(runtime, caller, run.id).status == "done"
    assert row_of(runtime, run.id).spares == 0


def test_what_the_engine_cannot_mean_ends_the_run_with_its_code(runtime, caller, run):
    def refuse(_, __):
        raise UnsupportedWorkloadError("No such thing.")

    assert execute(runtime, run.id, solve=refuse)
    error = get_run(runtime, caller, run.id).error
    assert (error.code, error.message) == ("unsupported_workload", "No such thing.")


def test_a_failed_leader_ends_its_followers(runtime, caller, run):
    follower = submit(runtime, caller, chat(), request_id="req_2")

    def broken(_, __):
        raise ZeroDivisionError

    execute(runtime, run.id, solve=broken)
    assert get_run(runtime, caller, follower.id).error.code == "engine_error"


def test_poison_stops_after_three_attempts(runtime, caller, run, queue, clock):
    """Whatever kills the process leaves the row running; the lease runs out; somebody tries again, three times."""

    class Killed(BaseException):
        pass

    def die(_, __):
        raise Killed

    attempts = 0
    while queue.sent:
        run_id = queue.take()
        with pytest.raises(Killed):
            execute(runtime, run_id, solve=die)
        attempts += 1
        clock.advance(runtime.settings.lease_s + 1)
        sweep(runtime)
        assert attempts < 10
    found = get_run(runtime, caller, run.id)
    assert attempts == 3
    assert (found.status, found.error.code, found.attempts) == ("failed", "poison", 3)
    clock.advance(1000)
    assert sweep(runtime).rung == 0
    assert not execute(runtime, run.id)


def test_a_disabled_tenant_stops_before_the_work(runtime, caller, run):
    set_tenant_disabled(runtime, caller.tenant_id, disabled=True)

    def never(_, __):
        raise AssertionError("must not be sized")

    assert not execute(runtime, run.id, solve=never)
    row = row_of(runtime, run.id)
    assert (row.status, row.error_code) == ("failed", "tenant_disabled")


def test_nothing_fits_is_done(runtime, caller, queue):
    request = SizingRequestSchema().load(
        {
            "workload": {
                "kind": "inference",
                "model": "llama-3.1-405b",
                "isl_tokens": 1000,
                "osl_tokens": 200,
                "demand": {"requests_s": 5},
                "slo": {"tpot_ms": 0.1},
            }
        }
    )
    asked = submit(runtime, caller, request, request_id="req_1")
    execute(runtime, queue.take())
    found = get_run(runtime, caller, asked.id)
    assert (found.status, found.feasible, found.error) == ("done", False, None)
    assert json.loads(found.result)["shortfall"]


def test_a_budget_becomes_the_limit_of_the_weight():
    body = {
        "workload": {
            "kind": "training",
            "model": "llama-3.1-8b",
            "method": "pretrain",
            "tokens": 1e11,
            "target": {"budget_usd": "500000"},
        },
        "constraints": {"max_budget_usd": "400000.50"},
    }
    assert budget_usd(SizingRequestSchema().load(body).question) == 400000.5
    assert budget_usd(chat().question) is None


def test_one_release_row_per_set_of_versions(runtime):
    assert record_release(runtime)
    assert not record_release(runtime)
    newer = replace(runtime, catalog=replace(runtime.catalog, version="sha256:newer"))
    assert record_release(newer)


def test_one_answer_row_per_question(runtime, caller, queue):
    for _ in range(3):
        submit(runtime, caller, chat(), request_id="req_1")
    execute(runtime, queue.take())
    with runtime.sessions() as session:
        assert session.scalar(select(func.count()).select_from(ResultRow)) == 1
