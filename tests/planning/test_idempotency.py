"""One key, many requests, on each database: one of them makes something, and one answer stands."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from service.errors import KeyInProgressError, KeyReusedError
from service.planning.execute import execute
from service.planning.idempotency import FirstAnswer, Once, earlier, record
from service.planning.reading import get_run, run_answer
from service.planning.submit import submit
from service.planning.sweep import forget_keys, prune
from service.store.tables.idempotency import IdempotencyRow
from service.store.tables.outbox import OutboxRow
from service.store.tables.runs import RunRow
from service.store.tables.workloads import WorkloadRow
from tests.planning.conftest import chat

ACCEPTED = FirstAnswer(status=202, headers={"Location": "/v1/runs/run_1"}, body=b'{"status":"queued"}')
DONE = FirstAnswer(status=200, headers={}, body=None)


def once(key="once", *, fingerprint="f1", answer=ACCEPTED, hold_s=10.0) -> Once:
    return Once(key=key, fingerprint=fingerprint, answer=lambda _: answer, hold_s=hold_s)


def ask(runtime, caller, asked, **workload):
    return submit(runtime, caller, chat(**workload), request_id="req_1", once=asked)


def rows(runtime) -> list[int]:
    with runtime.sessions() as session:
        tables = (WorkloadRow, RunRow, IdempotencyRow)
        return [session.scalar(select(func.count()).select_from(table)) for table in tables]


def at_once(many: int, work) -> list:
    """What `work(number)` gives in so many threads, or raises."""
    barrier, outcomes = threading.Barrier(many), []

    def run(number: int) -> None:
        barrier.wait()
        try:
            outcomes.append(work(number))
        except Exception as error:  # noqa: BLE001
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=[number]) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize("body", ["equal", "different"])
def test_of_many_at_once_one_makes_a_run_and_the_others_leave_no_trace(body, build, caller, queue):
    runtime = build()

    def work(number):
        asked = once(fingerprint="f1" if body == "equal" else f"f{number}")
        return ask(runtime, caller, asked, isl_tokens=700 if body == "equal" else 700 + number)

    outcomes = at_once(8, work)
    [run] = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert [type(outcome) for outcome in outcomes if outcome is not run] == [KeyInProgressError] * 7
    assert rows(runtime) == [1, 1, 1]
    assert [run_id for _, (run_id,) in queue.sent] == [run.id]
    with runtime.sessions() as session:
        assert session.scalars(select(OutboxRow)).all() == []
    found = earlier(runtime, caller, once(fingerprint=_fingerprint(runtime)))
    assert (found.resource_id, found.answer) == (run.id, ACCEPTED)


def _fingerprint(runtime) -> str:
    with runtime.sessions() as session:
        return session.scalar(select(IdempotencyRow.fingerprint))


def test_of_many_at_once_whose_answer_is_at_hand_one_makes_a_run(build, caller, queue):
    """These are written together, so that the ones in one transaction meet each other too."""
    runtime = build()
    first = ask(runtime, caller, None)
    assert execute(runtime, queue.take())
    run_answer(runtime, get_run(runtime, caller, first.id))
    keys = ["a", "b", "c"] * 4
    outcomes = at_once(12, lambda number: ask(runtime, caller, once(keys[number], answer=DONE)))
    made = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert [type(outcome) for outcome in outcomes if outcome not in made] == [KeyInProgressError] * 9
    assert len({run.id for run in made}) == 3
    assert {run.status for run in made} == {"done"}
    assert rows(runtime) == [4, 4, 3]
    assert {earlier(runtime, caller, once(key)).resource_id for key in keys} == {run.id for run in made}


def test_keys_of_their_own_make_runs_of_their_own(build, caller):
    runtime = build()
    outcomes = at_once(6, lambda number: ask(runtime, caller, once(f"key {number}")))
    assert len({run.id for run in outcomes}) == 6
    assert rows(runtime) == [6, 6, 6]


def test_a_key_is_the_tenant_s_own(runtime, caller, stranger):
    mine, theirs = (ask(runtime, tenant, once(), isl_tokens=700) for tenant in (caller, stranger))
    assert earlier(runtime, caller, once()).resource_id == mine.id
    assert earlier(runtime, stranger, once()).resource_id == theirs.id


def test_nothing_stands_under_a_new_key(runtime, caller):
    assert earlier(runtime, caller, once()) is None


def test_another_request_is_refused_whether_answered_or_not(runtime, caller):
    for key, answer in (("answered", ACCEPTED), ("not yet", None)):
        ask(runtime, caller, once(key, answer=answer))
        with pytest.raises(KeyReusedError, match=key):
            earlier(runtime, caller, once(key, fingerprint="f2"))


def test_others_wait_for_the_answer_until_the_hold_runs_out(runtime, caller, clock):
    run = ask(runtime, caller, once(answer=None, hold_s=10.0))
    clock.advance(9.999)
    with pytest.raises(KeyInProgressError) as raised:
        earlier(runtime, caller, once())
    assert raised.value.detail.retry_after_s == 1
    clock.advance(0.001)
    found = earlier(runtime, caller, once())
    assert (found.resource_id, found.answer) == (run.id, None)


def test_the_first_answer_that_is_recorded_stands(runtime, caller):
    run = ask(runtime, caller, once(answer=None))
    assert record(runtime, caller, once(), resource_id=run.id, answer=DONE) is DONE
    assert record(runtime, caller, once(), resource_id=run.id, answer=ACCEPTED) == DONE
    assert earlier(runtime, caller, once()).answer == DONE


def test_of_many_recorded_at_once_one_stands(build, caller):
    runtime = build()
    run = ask(runtime, caller, once(answer=None))

    def work(number):
        answer = FirstAnswer(status=200 + number, headers={}, body=None)
        return record(runtime, caller, once(), resource_id=run.id, answer=answer)

    [standing] = {answer.status for answer in at_once(6, work)}
    assert earlier(runtime, caller, once()).answer.status == standing


def test_an_old_key_stands_for_the_new_request(runtime, caller, clock):
    ask(runtime, caller, once(answer=None, hold_s=1e6))
    clock.advance(runtime.settings.idempotency_ttl_s + 0.001)
    assert earlier(runtime, caller, once()) is None
    new = ask(runtime, caller, once(fingerprint="f2"))
    assert rows(runtime) == [2, 2, 1]
    assert earlier(runtime, caller, once(fingerprint="f2")).resource_id == new.id


def test_who_is_late_with_an_answer_does_not_put_it_under_a_new_request(runtime, caller, clock):
    old = ask(runtime, caller, once(answer=None))
    clock.advance(runtime.settings.idempotency_ttl_s + 0.001)
    ask(runtime, caller, once(answer=None))
    assert record(runtime, caller, once(), resource_id=old.id, answer=DONE) is DONE
    with pytest.raises(KeyInProgressError):
        earlier(runtime, caller, once())


def test_an_old_key_used_by_many_at_once_makes_one_run(build, caller, clock):
    runtime = build()
    ask(runtime, caller, once())
    clock.advance(runtime.settings.idempotency_ttl_s + 1)
    outcomes = at_once(6, lambda _: ask(runtime, caller, once()))
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert rows(runtime) == [2, 2, 1]


@dataclass(slots=True)
class Counted:
    """What the database was asked for."""

    statements: int = 0
    commits: int = 0

    def executed(self, *_) -> None:
        self.statements += 1

    def committed(self, *_) -> None:
        self.commits += 1


@contextmanager
def counting(runtime):
    counted, engine = Counted(), runtime.sessions.kw["bind"]
    listeners = (("before_cursor_execute", counted.executed), ("commit", counted.committed))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    yield counted
    for name, listener in listeners:
        event.remove(engine, name, listener)


def test_an_answer_at_the_commit_costs_one_statement_more_and_no_transaction(runtime, caller):
    ask(runtime, caller, None, isl_tokens=700)  # The first one also opens the connection.
    with counting(runtime) as plain:
        ask(runtime, caller, None, isl_tokens=701)
    with counting(runtime) as keyed:
        ask(runtime, caller, once(), isl_tokens=702)
    assert (keyed.statements, keyed.commits) == (plain.statements + 1, plain.commits)


def test_old_keys_are_removed_in_small_transactions_and_the_others_stay(runtime, caller, clock):
    with runtime.sessions.begin() as session:
        for number in range(25):
            created_at = clock.now + timedelta(seconds=number)
            session.add(
                IdempotencyRow(
                    tenant_id=caller.tenant_id,
                    key=f"k{number}",
                    fingerprint="f",
                    resource_id="run_1",
                    held_until=created_at,
                    created_at=created_at,
                )
            )
    assert forget_keys(runtime) == 0
    clock.advance(runtime.settings.idempotency_ttl_s + 20)
    with counting(runtime) as counted:
        assert forget_keys(runtime, at_once=6, most=12) == 12
    assert counted.commits == 2
    assert prune(runtime) == 8
    with runtime.sessions() as session:
        assert sorted(session.scalars(select(IdempotencyRow.key))) == ["k20", "k21", "k22", "k23", "k24"]
