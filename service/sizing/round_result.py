"""The seam out: every float of a result keeps 6 significant digits, so that equal questions give equal bytes."""

import math
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

SIGNIFICANT_DIGITS = 6

T = TypeVar("T")


def rounded(result: T) -> T:
    """The same result with floats rounded, dataclasses and tuples walked through; integers and text stay."""
    return _walk(result)  # type: ignore[return-value]


def significant(value: float) -> float:
    """A number to 6 significant digits; zero and non-finite numbers stay."""
    if value == 0.0 or not math.isfinite(value):
        return value
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _walk(value: object) -> object:
    if isinstance(value, float):
        return significant(value)
    if isinstance(value, tuple):
        return tuple(_walk(part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {}
        for field in fields(value):
            before = getattr(value, field.name)
            after = _walk(before)
            if after is not before:
                changed[field.name] = after
        return replace(value, **changed) if changed else value
    return value
