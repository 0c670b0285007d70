"""The seam out: every float of a result keeps 6 significant digits, so that equal questions give equal bytes."""

import math
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

SIGNIFICANT_DIGITS = 6

T = TypeVar("T")


def rounded(result: T) -> T:
    """The same result with floats rounded, dataclasses and tuples walked through; integers and text stay."""
    return cast("T", _walk(result))


def significant(value: float) -> float:
    """A number to 6 significant digits; zero and non-finite numbers stay."""
    if value == 0.0 or not math.isfinite(value):
        return value
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


@lru_cache(maxsize=256)
def _names(kind: type[object]) -> tuple[str, ...] | None:
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else None


def _walk(value: object) -> object:
    kind = type(value)
    if kind is float:
        return significant(cast("float", value))
    if kind is tuple:
        return tuple([_walk(part) for part in cast("tuple[object, ...]", value)])
    names = _names(cast("Any", kind))
    if names is None:
        return value
    # A copy without a second validation: the fields are the ones the value already has.
    twin = kind.__new__(kind)
    for name in names:
        object.__setattr__(twin, name, _walk(getattr(value, name)))
    return twin
