"""The seam out: every float of a result keeps 6 significant digits, so that equal questions give equal bytes."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from operator import is_
from types import NoneType
from typing import Any, TypeVar, cast, get_args

SIGNIFICANT_DIGITS = 6

T = TypeVar("T")

_FORMAT = f"%.{SIGNIFICANT_DIGITS}g"
_WITHOUT_FLOATS = (str, int, NoneType, Enum)
# Whole numbers below it have no more digits than are kept.
_ROUND_ENOUGH = 10.0**SIGNIFICANT_DIGITS


def rounded(result: T) -> T:
    """The same result with floats rounded, dataclasses and tuples walked through; integers and text stay."""
    return cast("T", _walk(result, {}))


def significant(value: float) -> float:
    """A number to 6 significant digits; zero and non-finite numbers stay."""
    if value.is_integer() and -_ROUND_ENOUGH < value < _ROUND_ENOUGH:
        return value
    found = float(_FORMAT % value)
    # The number itself where nothing changes, so that what holds it need not change either.
    return value if found == value else found


@lru_cache(maxsize=256)
def _names(kind: Any) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Fields of a dataclass that hold no float, and the others; None for anything else."""
    if not is_dataclass(kind):
        return None
    still = {f.name: _holds_no_float(f.type) for f in fields(kind)}
    return tuple(n for n, stays in still.items() if stays), tuple(n for n, stays in still.items() if not stays)


def _holds_no_float(hint: Any) -> bool:
    return all(isinstance(part, type) and issubclass(part, _WITHOUT_FLOATS) for part in get_args(hint) or (hint,))


def _walk(value: Any, seen: dict[int, object]) -> object:
    """What is rounded already stays itself. `seen` are the tuples that were walked, which options of like servers share."""
    kind: Any = type(value)
    if kind is float:
        return significant(value)
    if kind is tuple:
        known = seen.get(id(value))
        if known is None:
            parts = tuple([_walk(part, seen) for part in value])
            known = seen[id(value)] = value if all(map(is_, parts, value)) else parts
        return known
    names = _names(kind)
    if names is None:
        return value
    still, moving = names
    changed = {}
    for name in moving:
        part = getattr(value, name)
        # Most of them are floats, and a result has thousands.
        new = significant(part) if type(part) is float else _walk(part, seen)
        if new is not part:
            changed[name] = new
    return _with(value, kind, changed, still=still, moving=moving) if changed else value


def _with(value: Any, kind: Any, changed: dict[str, object], *, still: Sequence[str], moving: Sequence[str]) -> object:
    """A copy with these fields, without a second validation: the others are the ones the value already has."""
    twin, put = kind.__new__(kind), object.__setattr__
    for name in still:
        put(twin, name, getattr(value, name))
    for name in moving:
        put(twin, name, changed[name] if name in changed else getattr(value, name))
    return twin
