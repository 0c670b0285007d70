"""Columns: records of equal-length arrays, one row per candidate, that are cut and put together by their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from service.sizing.table import BoolArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What records have in common of which every field is an array with the candidates along its first axis."""

    @classmethod
    def together(cls, each: Sequence[Self]) -> Self:
        """All of them, one after another."""
        if len(each) == 1:
            return each[0]
        return cls(**{name: np.concatenate([getattr(one, name) for one in each]) for name in cls.__dataclass_fields__})

    def take(self, rows: IntArray | BoolArray | slice) -> Self:
        """The candidates of these rows, in their order."""
        return type(self)(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})
