"""Whose fault it is when something breaks over a chunk: a death, an error, time that is up."""

import json
import time
from contextlib import suppress

import pytest
from sqlalchemy import select

from service.planning import time_limit
from service.planning.batch import chunk, questions
from service.planning.batch.asking import asked
from service.planning.batch.brief import sized
from service.planning.batch.chunk import size_chunk
from service.planning.batch.feed import feed
from service.planning.batch.reading import get_batch, list_items
from service.planning.submit import submit
from service.planning.time_limit import MOST_SPARES
from service.planning.transact import read, transact
from service.queue import TaskName, TimeLimitReached
from service.schemas.workload import SizingRequestSchema
from service.store.batches import ItemFilter
from service.store.tables.batches import BatchChunkRow, BatchStatus, ItemState
from tests.planning.batch.conftest import FOLD, DiedError, asking, counting, distinct, post, rung, states
from tests.planning.conftest import compute


def failing(name, error):
    """Sizes, but for calls with the item of this name."""

    def solve(runtime, asked, *rest):
        if name in {one.name for one in asked}:
            raise error
        return sized(runtime, asked, *rest)

    return solve


def test_an_item_that_kills_its_worker_fails_alone(runtime, caller, queue, clock):
    batch = post(runtime, caller, asking("one"), asking("poison", osl_tokens=300), asking("three", osl_tokens=400))
    deaths = 0
    for _ in range(20):
        while queue.sent:
            batch_id, number = rung(queue)
            try:
                size_chunk(runtime, batch_id, number, solve=failing("poison", DiedError()))
            except DiedError:
                deaths += 1
        clock.advance(runtime.settings.lease_s + 1)
        feed(runtime)
    assert deaths == runtime.settings.max_attempts + 1
    assert states(runtime, caller, batch.id) == ["done", "failed", "done"]
    failed = list_items(runtime, caller, batch.id, only=ItemFilter(state=ItemState.FAILED))[0]
    assert json.loads(failed.problem)["code"] == "poison"
    assert get_batch(runtime, caller, batch.id).status is BatchStatus.DONE


def test_an_item_is_not_blamed_for_a_worker_that_is_killed_once_more(runtime, caller, queue, clock):
    batch = post(runtime, caller, *distinct(3))
    killed = []

    def solve(runtime, asked, *rest):
        """The third worker is killed over the second item, alone by then; so were two before, over all of them."""
        if len(killed) < 2 or (len(killed) == 2 and asked[0].name == "1"):
            killed.append([one.name for one in asked])
            raise DiedError
        return sized(runtime, asked, *rest)

    for _ in range(6):
        while queue.sent:
            batch_id, number = rung(queue)
            with suppress(DiedError):
                size_chunk(runtime, batch_id, number, solve=solve)
        clock.advance(runtime.settings.lease_s + 1)
        feed(runtime)
    assert killed == [["0", "1", "2"], ["0", "1", "2"], ["1"]]
    assert states(runtime, caller, batch.id) == ["done", "done", "done"]


def test_an_engine_that_fails_fails_one_item(runtime, caller, queue):
    batch = post(runtime, caller, asking("one"), asking("two", osl_tokens=300))
    batch_id, number = rung(queue)
    size_chunk(runtime, batch_id, number, solve=failing("two", ZeroDivisionError()))
    assert states(runtime, caller, batch.id) == ["done", "failed"]


def test_an_item_that_takes_too_long_fails_alone(runtime, caller, queue):
    batch = post(runtime, caller, asking("one"), asking("two", osl_tokens=300), asking("three", osl_tokens=400))

    while queue.sent:
        size_chunk(runtime, *rung(queue), solve=slow("two"))
    assert states(runtime, caller, batch.id) == ["done", "failed", "done"]
    failed = list_items(runtime, caller, batch.id, only=ItemFilter(state=ItemState.FAILED))[0]
    problem = json.loads(failed.problem)
    assert (problem["code"], "narrow the constraints" in problem["message"]) == ("time_limit", True)


def slow(name, *, calls=None, share=0.6):
    """Sizes, but for calls with the item of this name, which compute until time is up."""

    def solve(runtime, asked, *rest):
        if calls is not None:
            calls.append(len(asked))
        if name in {one.name for one in asked}:
            compute(runtime.settings.task_soft_limit_s * share)
            raise TimeLimitReached
        return sized(runtime, asked, *rest)

    return solve


def test_after_a_time_out_calls_are_half_as_large_and_grow_again(patient, caller, queue, monkeypatch):
    """One slow item among many does not take all of them with it each time, and they are not sized one by one."""
    # A slice that takes long ends early, and a machine may be slow: so much is computed where time is up.
    batch = post(patient, caller, *distinct(40))
    calls = []
    monkeypatch.setattr(time_limit, "_OWN_FAULT_FRACTION", 0.001)
    while queue.sent:
        size_chunk(patient, *rung(queue), solve=slow("2", calls=calls, share=0.002))
    assert states(patient, caller, batch.id) == ["done"] * 2 + ["failed"] + ["done"] * 37
    assert calls == [40, 20, 10, 5, 2, 4, 2, 1, 1, 2, 4, 8, 16, 6]


def no_time(names=None, *, times=None):
    """The worker is frozen over each call with one of these, or over all, so often: nothing is computed."""
    left = [None] * (1000 if times is None else times)

    def solve(runtime, asked, *rest):
        if left and (names is None or names & {one.name for one in asked}):
            left.pop()
            time.sleep(runtime.settings.task_soft_limit_s)
            raise TimeLimitReached
        return sized(runtime, asked, *rest)

    return solve


def test_an_item_over_which_its_worker_was_frozen_is_tried_again(runtime, caller, queue):
    batch = post(runtime, caller, asking("one"))
    frozen = no_time(times=3)
    while queue.sent:
        size_chunk(runtime, *rung(queue), solve=frozen)
    assert states(runtime, caller, batch.id) == ["done"]


def test_an_item_that_waits_for_ever_fails_alone(runtime, caller, queue):
    batch = post(runtime, caller, asking("one"), asking("two", osl_tokens=300))
    frozen, rounds = no_time({"two"}), 0
    while queue.sent:
        size_chunk(runtime, *rung(queue), solve=frozen)
        rounds += 1
        assert rounds < 10
    assert states(runtime, caller, batch.id) == ["done", "failed"]
    failed = list_items(runtime, caller, batch.id, only=ItemFilter(state=ItemState.FAILED))[0]
    problem = json.loads(failed.problem)
    assert (problem["code"], "did not give it time" in problem["message"]) == ("time_limit", True)
    assert failed.attempts == MOST_SPARES


def test_an_item_that_is_answered_is_not_blamed_for_what_comes_after(runtime, caller, queue):
    """Time is up once the engine has told its answer, and before the call has ended."""
    batch = post(runtime, caller, asking("one"))

    def late(held, asked, *rest):
        yield from sized(held, asked, *rest)
        compute(held.settings.task_soft_limit_s * 0.6)
        raise TimeLimitReached

    assert size_chunk(runtime, *rung(queue), solve=late)
    assert states(runtime, caller, batch.id) == ["done"]
    assert get_batch(runtime, caller, batch.id).counts.done == 1


@pytest.fixture
def die(runtime, queue, clock):
    """Two workers die over the item one: where others were with it, they go one by one from then on."""

    def died():
        for _ in range(2):
            with pytest.raises(DiedError):
                size_chunk(runtime, *rung(queue), solve=failing("one", DiedError()))
            clock.advance(runtime.settings.lease_s + 1)
            feed(runtime)

    return died


def test_claims_that_end_with_answers_are_no_attempts_where_items_go_one_by_one(runtime, caller, queue, die):
    """One claim after the other stores answers: only the deaths before them count, and items go on one by one."""
    batch = post(runtime, caller, *(asking(name, osl_tokens=300 + n) for n, name in enumerate(["one", "two", "three"])))
    die()
    submit(runtime, caller, SizingRequestSchema().load(FOLD), request_id="req_2")
    calls, attempts = [], []
    for _ in range(3):
        _, (batch_id, number) = next(bell for bell in queue.sent if bell[0] is TaskName.SIZE_CHUNK)
        queue.sent = [bell for bell in queue.sent if bell[0] is not TaskName.SIZE_CHUNK]
        assert size_chunk(runtime, batch_id, int(number), solve=counting(calls), look_every_s=0.0)
        attempts.append(read(runtime, lambda session: session.scalar(select(BatchChunkRow.attempts))))
    assert calls == [1, 1, 1]
    assert attempts == [2, 2, 2]
    assert states(runtime, caller, batch.id) == ["done"] * 3


def test_time_that_is_up_as_an_item_is_noted_is_no_attempt(runtime, caller, queue, die, monkeypatch):
    """Whether its note was written or not: it is tried as often as any other."""
    batch = post(runtime, caller, asking("one"))
    die()
    late = [True, False]

    def noted(held, work):
        if "_note" not in work.__qualname__ or not late:
            return transact(held, work)
        if late.pop():
            transact(held, work)
        raise TimeLimitReached

    monkeypatch.setattr(chunk, "transact", noted)
    while late:
        assert size_chunk(runtime, *rung(queue))
    # Two workers more may die over it alone, as over any other.
    die()
    assert states(runtime, caller, batch.id) == ["running"]
    size_chunk(runtime, *rung(queue))
    failed = list_items(runtime, caller, batch.id, only=ItemFilter(state=ItemState.FAILED))[0]
    assert json.loads(failed.problem)["code"] == "poison"


def test_an_engine_that_breaks_in_the_middle_fails_one_item(patient, caller, queue):
    """What it had found is kept, and the others are tried by themselves."""
    batch = post(patient, caller, *distinct(12))
    batch_id, number = rung(queue)
    calls = []

    def breaking(held, asked, *rest):
        calls.append(len(asked))
        if [one.name for one in asked] == ["11"]:
            raise ZeroDivisionError
        for ended in sized(held, asked, *rest):
            yield ended
            if ended and len(asked) > 1:
                raise ZeroDivisionError

    assert size_chunk(patient, batch_id, number, solve=breaking)
    assert states(patient, caller, batch.id) == ["done"] * 11 + ["failed"]
    assert calls == [12, 1, 1, 1, 1]


def test_an_item_is_not_blamed_for_time_that_was_up_while_it_was_read(runtime, caller, queue, die, monkeypatch):
    """Nothing was begun: whoever reads an item and runs out of time has not tried it."""
    batch = post(runtime, caller, asking("one"))
    die()
    late = read_slowly(monkeypatch, "one", times=3)
    while queue.sent:
        size_chunk(runtime, *rung(queue))
    assert not late
    assert states(runtime, caller, batch.id) == ["done"]


def read_slowly(monkeypatch, name, *, times):
    """Time is up over the reading of this item, so often."""
    late = [None] * times

    def slowly(held, text, versions):
        if late and f'"{name}"' in text:
            late.pop()
            raise TimeLimitReached
        return asked(held, text, versions)

    monkeypatch.setattr(questions, "asked", slowly)
    return late


def test_an_item_whose_reading_always_runs_out_of_time_fails_alone(runtime, caller, queue, monkeypatch):
    _two_fails_alone_by_its_reading(runtime, caller, queue, monkeypatch)


def test_so_it_does_where_items_go_one_by_one(runtime, caller, queue, die, monkeypatch):
    _two_fails_alone_by_its_reading(runtime, caller, queue, monkeypatch, before=die)


def _two_fails_alone_by_its_reading(runtime, caller, queue, monkeypatch, *, before=lambda: None):
    batch = post(runtime, caller, *(asking(name, osl_tokens=300 + n) for n, name in enumerate(["one", "two", "three"])))
    before()
    read_slowly(monkeypatch, "two", times=1000)
    rounds = 0
    while queue.sent:
        size_chunk(runtime, *rung(queue))
        rounds += 1
        assert rounds < 20
    assert states(runtime, caller, batch.id) == ["done", "failed", "done"]
    failed = list_items(runtime, caller, batch.id, only=ItemFilter(state=ItemState.FAILED))[0]
    assert json.loads(failed.problem)["code"] == "time_limit"
