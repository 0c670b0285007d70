"""Cancelling: what ends, what goes on, and what can never happen, whoever comes first."""

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from service.errors import ConflictError, NotFoundError
from service.planning.answer import answer
from service.planning.cancel import cancel
from service.planning.execute import execute
from service.planning.reading import get_run
from service.planning.sweep import sweep
from service.planning.transact import transact
from service.store import runs
from service.store.tables.outbox import OutboxRow
from service.store.tables.runs import ResultRow
from tests.plain_logs import log_plainly
from tests.planning.conftest import ask, chat, row_of, rows

ENDED = {"done", "failed", "cancelled"}
# On each database: two hundred in all.
ROUNDS = 100


def broken(*_):
    raise RuntimeError("the engine broke")


class StoppedError(BaseException):
    """The worker dies."""


def stopped(*_):
    raise StoppedError


def test_a_queued_run_ends_and_needs_no_ringing(runtime, caller, queue, clock):
    queue.up = False
    run = ask(runtime, caller)
    assert rows(runtime, OutboxRow) == 1
    clock.advance(2)
    ended = cancel(runtime, caller, run.id, request_id="req_c")
    assert (ended.status, ended.finished_at, ended.started_at, ended.result) == ("cancelled", clock.now, None, None)
    assert ended.progress_fraction == 0.0
    assert rows(runtime, OutboxRow) == 0
    queue.up = True
    clock.advance(3600)
    swept = sweep(runtime)
    assert (swept.relayed, swept.rung, swept.poisoned, swept.settled) == (0, 0, 0, 0)
    assert not execute(runtime, run.id)
    assert get_run(runtime, caller, run.id) == ended


def test_a_second_cancel_changes_nothing(runtime, caller, clock):
    run = ask(runtime, caller)
    first = cancel(runtime, caller, run.id, request_id="req_c")
    clock.advance(60)
    assert cancel(runtime, caller, run.id, request_id="req_c") == first


def test_a_cancel_while_the_engine_works_leaves_no_result(runtime, caller, queue):
    run = ask(runtime, caller)

    def meanwhile(other, question):
        assert cancel(runtime, caller, run.id, request_id="req_c").status == "cancelled"
        return answer(other, question)

    # Whatever ran before in this process may have left only warnings to be written.
    log_plainly()
    with capture_logs() as lines:
        assert not execute(runtime, queue.take(), solve=meanwhile)
    told = {line["event"]: line["log_level"] for line in lines if line["log_level"] != "debug"}
    assert told == {"run_claimed": "info", "run_cancelled": "info", "run_was_cancelled": "info"}
    found = get_run(runtime, caller, run.id)
    assert (found.status, found.feasible, found.result, found.attempts) == ("cancelled", None, None, 1)
    assert found.progress_fraction == 0.0
    assert rows(runtime, ResultRow) == 0
    assert runtime.cache.get(caller.tenant_id, run.digest) is None


def test_a_failure_that_comes_after_the_cancel_is_not_told(runtime, caller, queue):
    run = ask(runtime, caller)

    def meanwhile(*_):
        cancel(runtime, caller, run.id, request_id="req_c")
        raise RuntimeError("too late")

    assert not execute(runtime, queue.take(), solve=meanwhile)
    assert (get_run(runtime, caller, run.id).status, row_of(runtime, run.id).error_code) == ("cancelled", None)


@pytest.mark.parametrize(("solve", "status"), [(answer, "done"), (broken, "failed")])
def test_what_has_ended_cannot_be_cancelled(solve, status, runtime, caller, queue):
    run = ask(runtime, caller)
    execute(runtime, queue.take(), solve=solve)
    before = get_run(runtime, caller, run.id)
    with pytest.raises(ConflictError, match=status):
        cancel(runtime, caller, run.id, request_id="req_c")
    assert get_run(runtime, caller, run.id) == before


def test_the_run_of_another_tenant_is_none(runtime, caller, stranger):
    run = ask(runtime, caller)
    with pytest.raises(NotFoundError):
        cancel(runtime, stranger, run.id, request_id="req_c")
    assert get_run(runtime, caller, run.id).status == "queued"


def test_the_same_question_may_be_asked_again(runtime, caller, queue):
    run = ask(runtime, caller)
    cancel(runtime, caller, run.id, request_id="req_c")
    again = ask(runtime, caller)
    assert (again.status, again.cached) == ("queued", False)
    while queue.sent:
        execute(runtime, queue.take())
    assert [get_run(runtime, caller, each.id).status for each in (run, again)] == ["cancelled", "done"]


def test_a_follower_ends_alone(runtime, caller, queue):
    leader, follower, other = (ask(runtime, caller) for _ in range(3))
    cancel(runtime, caller, follower.id, request_id="req_c")
    assert len(queue.sent) == 1
    execute(runtime, queue.take())
    found = [get_run(runtime, caller, run.id) for run in (leader, follower, other)]
    assert [run.status for run in found] == ["done", "cancelled", "done"]
    assert found[1].result is None


def test_the_oldest_follower_of_a_queued_leader_leads_on(runtime, caller, queue, clock):
    leader, *followers = [(ask(runtime, caller), clock.advance(1))[0] for _ in range(4)]
    queue.sent.clear()
    cancel(runtime, caller, leader.id, request_id="req_c")
    heir = followers[0]
    assert queue.sent == [("size_workload", (heir.id,))]
    assert rows(runtime, OutboxRow) == 0
    assert [row_of(runtime, run.id).follows_run_id for run in followers] == [None, heir.id, heir.id]
    assert {get_run(runtime, caller, run.id).status for run in followers} == {"queued"}
    # Whoever asks now joins the new leader.
    assert row_of(runtime, ask(runtime, caller).id).follows_run_id == heir.id
    assert execute(runtime, queue.take())
    assert {get_run(runtime, caller, run.id).status for run in followers} == {"done"}
    assert get_run(runtime, caller, leader.id).status == "cancelled"


def test_a_promoted_run_is_rung_for_later_when_the_broker_is_down(runtime, caller, queue, clock):
    leader, heir = (ask(runtime, caller) for _ in range(2))
    queue.sent.clear()
    queue.up = False
    cancel(runtime, caller, leader.id, request_id="req_c")
    assert rows(runtime, OutboxRow) == 1
    queue.up = True
    clock.advance(runtime.settings.outbox_poll_s + 0.001)
    assert sweep(runtime).relayed == 1
    assert execute(runtime, queue.take())
    assert get_run(runtime, caller, heir.id).status == "done"


def test_a_follower_that_was_seen_running_stays_running_and_is_worked_on(runtime, caller, queue, clock):
    leader, heir, other = ((ask(runtime, caller), clock.advance(1))[0] for _ in range(3))

    def meanwhile(late, question):
        clock.advance(1)
        started_at = get_run(runtime, caller, heir.id).started_at
        cancel(runtime, caller, leader.id, request_id="req_c")
        waiting = get_run(runtime, caller, heir.id)
        assert (waiting.status, waiting.attempts, waiting.started_at) == ("running", 0, started_at)
        assert get_run(runtime, caller, other.id).status == "running"
        return answer(late, question)

    assert not execute(runtime, queue.take(), solve=meanwhile)
    assert queue.sent == [("size_workload", (heir.id,))]
    assert execute(runtime, queue.take())
    found = [get_run(runtime, caller, run.id) for run in (leader, heir, other)]
    assert [run.status for run in found] == ["cancelled", "done", "done"]
    assert found[1].attempts == 1
    assert row_of(runtime, heir.id).lease_token == 1


def test_the_sweeper_rings_for_a_promoted_run_and_never_gives_it_up(runtime, caller, queue, clock):
    """Its leader had used up every attempt and the broker lost the message: the heir has attempts of its own."""
    leader, heir = (ask(runtime, caller) for _ in range(2))
    for _ in range(runtime.settings.max_attempts):
        with pytest.raises(StoppedError):
            execute(runtime, leader.id, solve=stopped)
        clock.advance(runtime.settings.lease_s + 1)
    cancel(runtime, caller, leader.id, request_id="req_c")
    for _ in range(5):
        queue.sent.clear()
        clock.advance(3600)
        swept = sweep(runtime)
        assert (swept.rung, swept.poisoned) == (1, 0)
        assert queue.sent == [("size_workload", (heir.id,))]
    assert execute(runtime, queue.take())
    assert get_run(runtime, caller, heir.id).status == "done"


# --- races


def test_a_run_cannot_end_while_it_is_being_cancelled(build, runtime, caller, queue):
    """Whoever cancels holds the run still: a worker that has its answer waits, and is refused."""
    run, other = ask(runtime, caller), build()
    results = []
    ends = threading.Thread(target=lambda: results.append(execute(other, queue.take())))

    def work(session):
        held = runs.hold(session, caller.tenant_id, run.id)
        ends.start()
        ends.join(0.5)
        assert ends.is_alive()
        assert held.status == "queued"
        runs.cancel(session, held, now=runtime.clock())

    transact(runtime, work)
    ends.join(10)
    assert results == [False]
    assert get_run(runtime, caller, run.id).status == "cancelled"


class Rounds:
    """Rounds of things that happen at one moment, each through a process of its own."""

    def __init__(self, build, actors: int) -> None:
        self.runtimes = [build() for _ in range(actors)]
        self.pool = ThreadPoolExecutor(actors)

    def __call__(self, *actions):
        barrier = threading.Barrier(len(actions))

        def act(runtime, action):
            barrier.wait(10)
            try:
                return action(runtime)
            except ConflictError as error:
                return error

        futures = [self.pool.submit(act, *pair) for pair in zip(self.runtimes, actions, strict=False)]
        return [future.result(20) for future in futures]


@pytest.fixture
def at_once(build):
    rounds = Rounds(build, 3)
    yield rounds
    rounds.pool.shutdown()


def test_a_cancel_races_with_everything(runtime, build, caller, queue, at_once):
    """Cancel against claim, finish, fail, another cancel, a joining question and the sweeper; all runs end rightly."""
    numbers = itertools.count(1)
    chance = random.Random(34)
    known = answer(runtime, row_of(runtime, ask(runtime, caller).id).question)
    execute(runtime, queue.take())

    for _ in range(ROUNDS):
        request = chat(isl_tokens=1000 + next(numbers))
        leader = ask(runtime, caller, request)
        followers = [ask(runtime, caller, request) for _ in range(chance.randint(0, 2))]
        known = replace(known, digest=leader.digest)
        solve = chance.choice([lambda *_, found=known: found, broken])
        victim = chance.choice([leader, *followers])
        rung = queue.take()
        against = chance.choice(
            [
                lambda other, rung=rung, solve=solve: execute(other, rung, solve=solve),
                lambda other, victim=victim: cancel(other, caller, victim.id, request_id="req_c"),
                lambda other, request=request: ask(other, caller, request),
                sweep,
            ]
        )
        cancelled, ended, joined = at_once(
            lambda other, victim=victim: cancel(other, caller, victim.id, request_id="req_c"),
            against,
            lambda other, request=request: ask(other, caller, request),
        )
        if not isinstance(cancelled, ConflictError):
            assert get_run(runtime, caller, victim.id).status == "cancelled"
            assert ended is not True or victim is not leader, "the worker was told that its end of the run stands"
        queue.sent.append(("size_workload", (rung,)))
        while queue.sent:
            execute(runtime, queue.take(), solve=solve)
        for run in (leader, *followers, joined):
            found = get_run(runtime, caller, run.id)
            assert found.status in ENDED
            assert (found.result is None) == (found.status != "done")
            if found.status == "cancelled":
                assert (run.id, type(cancelled)) == (victim.id, type(leader))
            elif found.status != "done":
                assert solve is broken
        assert rows(runtime, OutboxRow) == 0
