"""Numeric: what a formula takes, an array or one number; Column: one number, or a column with a row per candidate."""

from dataclasses import dataclass

import numpy as np

from service.sizing.table import BoolArray, FloatArray, IntArray

Numeric = FloatArray | IntArray | np.float64 | float
Column = FloatArray | float

# What sums and products of short decimals are off by: 3.42 kW are within 3.42 kW.
NOISE = 1e-12


def by_row(value: Column) -> Column:
    """A column as one number per candidate; one number stays."""
    return value[:, 0] if isinstance(value, np.ndarray) else value


@dataclass(frozen=True, slots=True, eq=False)
class Present:
    """Where there is any of a number: `EVERYWHERE` most often, `NOWHERE` at times, else where `some` says."""

    some: BoolArray

    def only(self, took: FloatArray) -> FloatArray:
        """What it takes where there is any of it, else nothing."""
        return took if self is EVERYWHERE else np.where(self.some, took, 0.0)


EVERYWHERE, NOWHERE = Present(np.array([[True]])), Present(np.array([[False]]))


def present(number: Numeric) -> Present:
    """Where there is any: looked at once, however many formulas ask."""
    some = np.asarray(number) > 0.0
    if some.all():
        return EVERYWHERE
    return Present(some) if some.any() else NOWHERE
