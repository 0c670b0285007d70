"""Sizings side by side: what is asked at the same moment is computed in one call, and nobody notices."""

from dataclasses import dataclass

import pytest

from service.errors import InvalidRequestError
from service.sizing import joint
from service.sizing.joint import Ask, one_column, side_by_side, step_by_step


@dataclass(frozen=True, slots=True)
class Doubled(Ask):
    number: int
    calls: list
    size: int = 1

    @property
    def alike(self):
        return self.number % 2

    def answers(self, asks):
        self.calls.append([ask.number for ask in asks])
        return [2 * ask.number for ask in asks]


def sizing(numbers, calls, *, size=1):
    total = 0
    for number in numbers:
        (answer,) = yield [Doubled(number, calls, size)]
        total += answer
    return total


def refused():
    yield []
    raise InvalidRequestError("no")


def test_like_asks_go_in_one_call_and_each_gets_its_own_answer():
    calls = []
    assert side_by_side([sizing(numbers, calls) for numbers in ([1, 2], [3], [2, 4, 6], [])]) == [6, 6, 24, 0]
    assert calls == [[1, 3], [2], [2, 4], [6]]


def test_a_call_has_so_many_rows_and_no_more(monkeypatch):
    monkeypatch.setattr(joint, "_MOST_ROWS", 10)
    calls = []
    assert side_by_side([sizing([n], calls, size=4) for n in (2, 4, 6)]) == [4, 8, 12]
    assert calls == [[2, 4], [6]]
    calls.clear()
    assert side_by_side([sizing([n], calls, size=40) for n in (2, 4)]) == [4, 8]
    assert calls == [[2], [4]]


def test_a_refusal_is_that_of_one():
    calls = []
    found = side_by_side([sizing([1], calls), refused(), sizing([3], calls)])
    assert (found[0], found[2], calls) == (2, 6, [[1, 3]])
    assert isinstance(found[1], InvalidRequestError)


def test_what_breaks_is_not_taken_for_an_answer():
    def broken():
        yield []
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side([broken()])


def test_equal_numbers_stay_one_number():
    assert one_column([3.0, 3.0], [2, 1]) == 3.0
    assert one_column([3.0, 4.0], [2, 1]).tolist() == [[3.0], [3.0], [4.0]]


def test_who_stops_has_what_was_found_and_nothing_more_is_computed():
    calls = []
    steps = step_by_step([sizing([], calls), sizing([1], calls), sizing([2, 3], calls), sizing([4, 5], calls)])
    found = {}
    for ended in steps:
        found |= dict(ended)
        if len(found) == 2:
            break
    steps.close()
    assert found == {0: 0, 1: 2}
    assert calls == [[1], [2, 4]]


def test_one_may_stop_between_any_two_calls():
    calls = []
    computed = [len(calls) for _ in step_by_step([sizing([n], calls) for n in (1, 2, 3)])]
    # Three begin, odd and even numbers are computed apart, and all three end.
    assert computed == [0, 0, 0, 1, 2, 2]


def test_ends_are_told_a_few_at_a_time():
    calls = []
    told = [len(ended) for ended in step_by_step([sizing([1], calls) for _ in range(20)]) if ended]
    assert told == [8, 8, 4]
