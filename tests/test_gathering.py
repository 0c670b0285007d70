import contextvars
import threading
from collections.abc import Sequence

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


def test_those_who_come_while_one_works_are_served_together():
    gathering: Gathering[int, int] = Gathering()
    rounds: list[list[int]] = []
    begun, gathered = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        rounds.append(list(items))
        if len(rounds) == 1:
            begun.set()
            assert gathered.wait(10)
        return [item * 10 for item in items]

    first = threading.Thread(target=gathering.do, args=(0, work))
    first.start()
    assert begun.wait(10)
    outcomes: dict[int, int] = {}
    others = [
        threading.Thread(target=lambda number=number: outcomes.update({number: gathering.do(number, work)}))
        for number in (1, 2, 3)
    ]
    for thread in others:
        thread.start()
    while len(gathering._waiting) < 3:
        pass
    gathered.set()
    for thread in (first, *others):
        thread.join(10)
    assert sorted(map(sorted, rounds)) == [[0], [1, 2, 3]]
    assert outcomes == {1: 10, 2: 20, 3: 30}


def test_each_thread_gets_its_own_outcome_and_nobody_waits_for_ever():
    gathering: Gathering[int, int] = Gathering()

    def work(items: Sequence[int]) -> list[int]:
        return [-item for item in items]

    outcomes = in_threads(16, lambda number: [gathering.do(number * 1000 + step, work) for step in range(200)])
    assert outcomes == [[-(number * 1000 + step) for step in range(200)] for number in range(16)]


def test_a_round_that_fails_is_worked_again_by_each_alone_and_only_the_bad_one_fails():
    gathering: Gathering[int, int] = Gathering(patience_s=5)
    together: list[int] = []
    barrier = threading.Barrier(4)

    def work(items: Sequence[int]) -> list[int]:
        together.append(len(items))
        if 2 in items:
            raise ValueError(f"{items} will not do")
        return [-item for item in items]

    def act(number: int) -> int:
        with gathering.coming():
            barrier.wait(10)
            return gathering.do(number, work)

    outcomes = in_threads(4, act)
    assert outcomes[:2] + outcomes[3:] == [0, -1, -3]
    assert str(outcomes[2]) == "[2] will not do"
    assert sorted(together) == [1, 1, 1, 1, 4]
    assert gathering.do(1, work) == -1


def test_those_on_their_way_are_waited_for_and_those_who_turn_back_are_not():
    gathering: Gathering[int, int] = Gathering(patience_s=30)
    rounds: list[int] = []
    barrier = threading.Barrier(6)

    def work(items: Sequence[int]) -> list[int]:
        rounds.append(len(items))
        return list(items)

    def act(number: int) -> int | None:
        with gathering.coming():
            barrier.wait(10)
            return gathering.do(number, work) if number < 4 else None

    assert in_threads(6, act) == [0, 1, 2, 3, None, None]
    assert rounds == [4]


def test_a_round_waits_for_a_moment_only():
    gathering: Gathering[int, int] = Gathering(patience_s=0.01)
    with gathering.coming():
        [outcome] = in_threads(1, lambda _: gathering.do(7, list))
    assert outcome == 7


def test_work_that_forgets_an_item_is_an_error():
    gathering: Gathering[int, int] = Gathering()
    with pytest.raises(ValueError, match="not enough values"):
        gathering.do(1, lambda _: [])


def test_what_is_wrong_after_the_work_is_told_to_its_own_thread_and_the_work_is_not_done_again():
    gathering: Gathering[int, int] = Gathering(patience_s=5)
    rounds: list[int] = []
    barrier = threading.Barrier(4)

    def work(items: Sequence[int]) -> list[int]:
        rounds.append(len(items))
        return [-item for item in items]

    def then(outcome: int) -> str:
        if outcome == -2:
            raise ValueError("2 cannot be told")
        return f"told {outcome}"

    def act(number: int) -> object:
        with gathering.coming():
            barrier.wait(10)
            return gathering.do(number, work, then=then)

    outcomes = in_threads(4, act)
    assert outcomes[:2] + outcomes[3:] == ["told 0", "told -1", "told -3"]
    assert str(outcomes[2]) == "2 cannot be told"
    assert rounds == [4]


def test_what_follows_the_work_sees_what_its_own_thread_has_bound():
    gathering: Gathering[int, int] = Gathering(patience_s=5)
    mine: contextvars.ContextVar[int] = contextvars.ContextVar("mine")
    makers: set[int] = set()
    barrier = threading.Barrier(4)

    def then(_outcome: int) -> int:
        makers.add(threading.get_ident())
        return mine.get()

    def act(number: int) -> object:
        mine.set(number)
        with gathering.coming():
            barrier.wait(10)
            return gathering.do(0, list, then=then)

    assert in_threads(4, act) == [0, 1, 2, 3]
    assert len(makers) == 1


def test_a_round_waits_for_as_many_as_came_to_the_one_before():
    gathering: Gathering[int, int] = Gathering(patience_s=5)
    rounds: list[int] = []
    barrier = threading.Barrier(3)

    def work(items: Sequence[int]) -> list[int]:
        rounds.append(len(items))
        return list(items)

    def act(number: int) -> object:
        with gathering.coming():
            barrier.wait(10)
            gathering.do(number, work)
        # Nobody says any more that somebody is coming.
        return gathering.do(number, work)

    assert in_threads(3, act) == [0, 1, 2]
    assert rounds == [3, 3]
