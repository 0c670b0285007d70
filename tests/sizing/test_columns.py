"""Columns: rows are taken and put together in all fields alike."""

from dataclasses import dataclass

import numpy as np

from service.sizing.columns import Columns
from service.sizing.table import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair(Columns):
    number: IntArray
    share: FloatArray

    def values(self) -> tuple[list[int], list[float]]:
        return self.number.tolist(), self.share.tolist()


ONE = Pair(number=np.array([1, 2, 3]), share=np.array([0.1, 0.2, 0.3]))
OTHER = Pair(number=np.array([4]), share=np.array([0.4]))


def test_what_was_put_together_is_taken_apart_again() -> None:
    both = Pair.together([ONE, OTHER])
    assert both.values() == ([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4])
    assert both.take(slice(3, 4)).values() == OTHER.values()
    assert both.take(np.array([3, 0])).values() == ([4, 1], [0.4, 0.1])
    assert both.take(np.array([False, True, False, False])).values() == ([2], [0.2])


def test_one_alone_is_itself() -> None:
    assert Pair.together([ONE]) is ONE
