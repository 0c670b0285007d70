import contextvars
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from service.gathering import Gathering


def in_threads(count: int, act) -> list[object]:
    """What each of `count` threads came to: what it returned, or the error that it raised."""
    outcomes: list[object] = [None] * count

    def run(number: int) -> None:
        try:
            outcomes[number] = act(number)
        except Exception as error:  # noqa: BLE001 - an outcome too
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return outcomes


class Held:
    """Work whose first round is held up until all wishes that a test makes are in it or wait."""

    def __init__(self, gathering: Gathering[int, int], *, all_of: int) -> None:
        self.rounds: list[list[int]] = []
        self._gathering = gathering
        self._all_of = all_of

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.rounds.append(list(items))
        until_s = time.monotonic() + 20
        while (
            len(self.rounds) == 1
            and len(items) + self._gathering.waiting() < self._all_of
            and time.monotonic() < until_s
        ):
            time.sleep(0.001)
        if 2 in items:
            raise ValueError(f"{items} will not do")
        return [item * 10 for item in items]


def test_those_who_come_while_one_round_is_worked_on_are_served_together():
    gathering: Gathering[int, int] = Gathering()
    work = Held(gathering, all_of=4)
    told: dict[int, int] = {}
    failed: list[Exception] = []

    def leave(number: int) -> None:
        gathering.leave(number, work, done=lambda outcome: told.update({number: outcome}), failed=failed.append)

    leave(0)
    while not work.rounds:
        time.sleep(0.001)
    for number in (1, 3, 4):
        leave(number)
    assert gathering.do(5, work) == 50
    assert work.rounds[0] == [0]
    assert sorted(item for items in work.rounds[1:] for item in items) == [1, 3, 4, 5]
    assert len(work.rounds[1]) >= 3
    assert (told, failed) == ({0: 0, 1: 10, 3: 30, 4: 40}, [])


def test_each_thread_gets_its_own_outcome_and_nobody_waits_for_ever():
    gathering: Gathering[int, int] = Gathering()

    def work(items: Sequence[int]) -> list[int]:
        return [-item for item in items]

    outcomes = in_threads(16, lambda number: [gathering.do(number * 1000 + step, work) for step in range(200)])
    assert outcomes == [[-(number * 1000 + step) for step in range(200)] for number in range(16)]


def test_a_round_that_fails_is_worked_again_for_each_alone_and_only_the_bad_one_fails():
    gathering: Gathering[int, int] = Gathering()
    work = Held(gathering, all_of=5)
    outcomes = in_threads(5, lambda number: gathering.do(number, work))
    assert outcomes[:2] + outcomes[3:] == [0, 10, 30, 40]
    assert str(outcomes[2]) == "[2] will not do"
    assert any(2 in together and len(together) > 1 for together in work.rounds)
    assert gathering.do(1, work) == 10


def test_work_that_forgets_an_item_is_an_error():
    gathering: Gathering[int, int] = Gathering()
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        gathering.do(1, lambda _: [])


def test_what_is_wrong_after_the_work_is_told_to_its_own_thread_and_the_work_is_not_done_again():
    gathering: Gathering[int, int] = Gathering()
    worked: list[int] = []

    def work(items: Sequence[int]) -> list[int]:
        worked.extend(items)
        return [-item for item in items]

    def then(outcome: int) -> str:
        if outcome == -2:
            raise ValueError("2 cannot be told")
        return f"told {outcome}"

    outcomes = in_threads(4, lambda number: gathering.do(number, work, then=then))
    assert outcomes[:2] + outcomes[3:] == ["told 0", "told -1", "told -3"]
    assert str(outcomes[2]) == "2 cannot be told"
    assert sorted(worked) == [0, 1, 2, 3]


def test_what_follows_the_work_sees_what_its_own_thread_has_bound():
    gathering: Gathering[int, int] = Gathering()
    mine: contextvars.ContextVar[int] = contextvars.ContextVar("mine")
    makers: set[int] = set()

    def then(_outcome: int) -> int:
        makers.add(threading.get_ident())
        return mine.get()

    def act(number: int) -> object:
        mine.set(number)
        return gathering.do(0, list, then=then)

    assert in_threads(4, act) == [0, 1, 2, 3]
    assert len(makers) == 1


def test_all_outcomes_of_a_round_are_told_within_one_telling():
    begun: list[str] = []

    @contextmanager
    def telling():
        begun.append("told")
        yield
        begun.append("over")

    gathering: Gathering[int, int] = Gathering(telling=telling)
    assert gathering.do(1, list, then=lambda _: list(begun)) == ["told"]


def test_what_is_left_to_do_follows_when_everybody_of_the_round_is_told():
    begun: list[str] = []
    over = threading.Event()

    @contextmanager
    def telling():
        yield
        begun.append("all told")

    gathering: Gathering[int, int] = Gathering(telling=telling)
    work = Held(gathering, all_of=3)

    def done(outcome: int):
        begun.append(f"told {outcome}")

        def rest() -> None:
            begun.append(f"rest {outcome}")
            if outcome == 30:
                over.set()

        return rest

    def leave(number: int) -> None:
        gathering.leave(number, work, done=done, failed=lambda _: None)

    leave(0)
    while not work.rounds:
        time.sleep(0.001)
    leave(1)
    leave(3)
    assert over.wait(20)
    together = begun[begun.index("told 10") :]
    assert together == ["told 10", "told 30", "all told", "rest 10", "rest 30"]


def test_what_a_failure_leaves_to_do_is_done():
    gathering: Gathering[int, int] = Gathering()
    failed: SimpleQueue[str] = SimpleQueue()

    def work(_: Sequence[int]) -> list[int]:
        raise ValueError("never")

    gathering.leave(1, work, done=lambda _: None, failed=lambda error: lambda: failed.put(str(error)))
    assert failed.get(timeout=20) == "never"


def test_it_waits_for_as_many_as_there_were_and_for_nobody_who_does_not_come():
    """With a pause so long that it shows who waits."""
    gathering: Gathering[int, int] = Gathering(linger_s=0.5, most_linger_s=5.0)
    rounds: list[int] = []
    told: SimpleQueue[int] = SimpleQueue()

    def work(items: Sequence[int]) -> list[int]:
        rounds.append(len(items))
        return list(items)

    def leave(count: int) -> float:
        begun_s = time.monotonic()
        for number in range(count):
            gathering.leave(number, work, done=told.put, failed=lambda _: None)
        for _ in range(count):
            told.get(timeout=20)
        return time.monotonic() - begun_s

    # Nobody is expected at first, nor by a single caller after another.
    assert leave(1) < 0.4
    assert leave(1) < 0.4
    leave(8)
    rounds.clear()
    leave(8)
    assert len(rounds) <= 2
    # Seven do not come this time, and then nobody waits for them any more.
    assert 0.5 <= leave(1) < 4
    assert leave(1) < 0.4


def test_its_thread_ends_when_nobody_wants_anything_and_another_one_begins():
    gathering: Gathering[int, int] = Gathering(idle_s=0.05)
    threads: list[threading.Thread] = []

    def work(items: Sequence[int]) -> list[int]:
        threads.append(threading.current_thread())
        return list(items)

    for number in range(3):
        assert gathering.do(number, work) == number
        threads[-1].join(10)
        assert not threads[-1].is_alive()
    assert len({id(thread) for thread in threads}) == 3


def test_nobody_is_forgotten_who_comes_just_when_the_thread_makes_up_its_mind_to_end():
    gathering: Gathering[int, int] = Gathering(idle_s=0.0005)

    def act(number: int) -> list[object]:
        made = []
        for step in range(100):
            made.append(gathering.do(number * 1000 + step, list))
            time.sleep(0.0005)
        return made

    assert in_threads(4, act) == [[number * 1000 + step for step in range(100)] for number in range(4)]


class Refusing(Gathering[int, int]):
    """Of a process that may have no more threads, until it may."""

    threads = 0

    def _start(self) -> None:
        if self.threads == 0:
            raise RuntimeError("can't start new thread")
        super()._start()


def test_where_no_thread_was_to_be_had_the_next_wish_begins_one():
    gathering = Refusing()
    told: list[int] = []
    wish = {"done": told.append, "failed": lambda error: told.append(-1)}
    with pytest.raises(RuntimeError):
        gathering.leave(1, list, **wish)
    gathering.threads = 1
    gathering.leave(2, list, **wish)
    assert gathering.do(3, list) == 3
    assert told == [2]


def test_whoever_brings_the_last_of_those_expected_ends_the_wait():
    """With a pause so long that waiting for it shows."""
    gathering: Gathering[int, int] = Gathering(linger_s=1.0, most_linger_s=5.0)
    work = Held(gathering, all_of=3)
    told: SimpleQueue[int] = SimpleQueue()

    def leave(*numbers: int) -> None:
        for number in numbers:
            gathering.leave(number, work, done=told.put, failed=lambda _: None)
            time.sleep(0.05)

    leave(0, 1, 3)
    assert sorted(told.get(timeout=20) for _ in range(3)) == [0, 10, 30]
    # From now on two are expected, for two came together.
    took_s = []
    for _ in range(5):
        began_s = time.monotonic()
        leave(1, 3)
        assert sorted(told.get(timeout=20) for _ in range(2)) == [10, 30]
        took_s.append(time.monotonic() - began_s)
    assert min(took_s) < 0.9
