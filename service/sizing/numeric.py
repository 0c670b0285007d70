"""Numeric: what a formula takes, an array or one number; Column: one number, or a column with a row per candidate."""

import numpy as np

from service.sizing.table import FloatArray, IntArray

Numeric = FloatArray | IntArray | np.float64 | float
Column = FloatArray | float

# What sums and products of short decimals are off by: 3.42 kW are within 3.42 kW.
NOISE = 1e-12


def by_row(value: Column) -> Column:
    """A column as one number per candidate; one number stays."""
    return value[:, 0] if isinstance(value, np.ndarray) else value


def where_any(number: FloatArray, took: FloatArray) -> FloatArray:
    """What it takes where there is any of it, else nothing; most often there is some everywhere."""
    some = number > 0.0
    return took if some.all() else np.where(some, took, 0.0)
