"""Sizings that go side by side: what several of them ask at the same moment is computed in one call.

A sizing is written as if it were alone. Where it needs numbers of many candidates it yields what it asks, and goes on
with the answers; asks that are alike, of whichever sizing, become rows of the same arrays. No row depends on another
one, so that an answer is the same in whatever company it was computed.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Hashable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from service.errors import PlannerError
from service.sizing.numeric import Column, Numeric
from service.sizing.table import FloatArray

# Most rows of one call: with some dozens of batches a row, larger arrays gain nothing and leave the cache of a core.
_MOST_ROWS = 1600

T = TypeVar("T")
Like = TypeVar("Like", bound="Ask")


class Ask(ABC):
    """Something that a sizing wants computed for some candidates."""

    __slots__ = ()

    @property
    @abstractmethod
    def alike(self) -> Hashable:
        """What asks have in common that are computed in one call."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of candidates."""

    @abstractmethod
    def answers(self: Like, asks: Sequence[Like]) -> list[Any]:
        """The answers of asks that are alike, of which this is the first, in their order."""


# Yields what it asks, receives as many answers, and returns what it found.
Sizing = Generator[Sequence[Ask], list[Any], T]


# What is found last is little work: so many of them are told at once.
_TOLD_TOGETHER = 8


def side_by_side(sizings: Sequence[Sizing[T]]) -> list[T | PlannerError]:
    """What each of them found, or why it is refused; in their order."""
    found = dict(end for ended in step_by_step(sizings) for end in ended)
    return [found[place] for place in range(len(sizings))]


def step_by_step(sizings: Sequence[Sizing[T]]) -> Iterator[list[tuple[int, T | PlannerError]]]:
    """The same as it is found, with the place of each; as often as somebody may want to stop, nothing new included."""
    asked: dict[int, Sequence[Ask]] = {}

    def go_on(place: int, answers: list[Any] | None) -> list[tuple[int, T | PlannerError]]:
        try:
            asked[place] = next(sizings[place]) if answers is None else sizings[place].send(answers)
        except StopIteration as end:
            return [(place, end.value)]
        except PlannerError as error:
            return [(place, error)]
        return []

    for place in range(len(sizings)):
        yield go_on(place, None)
    while asked:
        waiting, asked = asked, {}
        answers: list[Any] = [None] * sum(len(asks) for asks in waiting.values())
        for some in _answered([ask for asks in waiting.values() for ask in asks]):
            for at, answer in some:
                answers[at] = answer
            yield []
        each = iter(answers)
        for some_places in _parts(list(waiting), _TOLD_TOGETHER):
            yield [end for place in some_places for end in go_on(place, [next(each) for _ in waiting[place]])]


def _answered(asks: Sequence[Ask]) -> Iterator[list[tuple[int, Any]]]:
    """The answers of each call with their places: like asks go together."""
    kinds: dict[Hashable, list[int]] = {}
    for place, ask in enumerate(asks):
        kinds.setdefault((type(ask), ask.alike), []).append(place)
    for places in kinds.values():
        for some in _calls(asks, places):
            together = [asks[place] for place in some]
            yield list(zip(some, together[0].answers(together), strict=True))


def _parts(places: list[int], most: int) -> Iterator[list[int]]:
    return (places[start : start + most] for start in range(0, len(places), most))


def _calls(asks: Sequence[Ask], places: list[int]) -> list[list[int]]:
    """The same places in parts of so many rows."""
    parts: list[list[int]] = [[]]
    rows = 0
    for place in places:
        if parts[-1] and rows + asks[place].size > _MOST_ROWS:
            parts.append([])
            rows = 0
        parts[-1].append(place)
        rows += asks[place].size
    return parts


def one_column(values: Sequence[Numeric], sizes: Sequence[int]) -> Column:
    """The number that all of them are, or a column: one number each, or a column each."""
    if not any(isinstance(value, np.ndarray) for value in values) and len(set(values)) == 1:
        return float(values[0])
    return one_row([value[:, 0] if isinstance(value, np.ndarray) else value for value in values], sizes)[:, None]


def one_row(values: Sequence[Numeric], sizes: Sequence[int]) -> FloatArray:
    """All of them one after another, a number per candidate."""
    if any(isinstance(value, np.ndarray) for value in values):
        each = [np.broadcast_to(value, (size,)) for value, size in zip(values, sizes, strict=True)]
        return np.asarray(np.concatenate(each), dtype=np.float64)
    return np.repeat(np.array(values, dtype=np.float64), sizes)


def parted(sizes: Sequence[int]) -> list[slice]:
    """Where the candidates of each lie among those of all."""
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
