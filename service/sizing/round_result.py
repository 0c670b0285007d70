"""The seam out: every float of a result keeps 6 significant digits, so that equal questions give equal bytes."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import attrgetter, is_
from types import MemberDescriptorType, NoneType
from typing import Any, TypeVar, cast, get_args

SIGNIFICANT_DIGITS = 6

T = TypeVar("T")

_FORMAT = f"%.{SIGNIFICANT_DIGITS}g"
_WITHOUT_FLOATS = (str, int, NoneType, Enum)
# Whole numbers below it have no more digits than are kept.
_ROUND_ENOUGH = float(f"1e{SIGNIFICANT_DIGITS}")


def rounded(result: T) -> T:
    """The same result with floats rounded, dataclasses and tuples walked through; integers and text stay.

    What is rounded already stays the object that it is.
    """
    walk = _WALKS[type(result)]
    return cast("T", result if walk is None else walk(result, {}))


class Rounded(tuple[T, ...]):
    """Values that are rounded already, which nobody walks through again: what many answers share."""

    __slots__ = ()


def rounded_once(values: tuple[T, ...]) -> Rounded[T]:
    """The values rounded now, instead of in every answer that they become part of."""
    return Rounded(rounded(values))


def significant(value: float) -> float:
    """A number to 6 significant digits; zero and non-finite numbers stay."""
    if value.is_integer() and -_ROUND_ENOUGH < value < _ROUND_ENOUGH:
        return value
    found = float(_FORMAT % value)
    # The number itself where nothing changes, so that what holds it need not change either.
    return value if found == value else found


# Of a value, and the tuples that were walked: options of like servers share them, and their copies do.
_Walk = Callable[[Any, dict[int, object]], object]


class _Walks(dict[type, _Walk | None]):
    """How values of each type are rounded; None where there is nothing to round. Found once per type."""

    def __missing__(self, kind: type) -> _Walk | None:
        found: _Walk | None = None
        if kind is tuple:
            found = _tuple
        elif kind is float:
            found = _float
        elif is_dataclass(kind):
            found = _dataclass_walk(kind)
        self[kind] = found
        return found


_WALKS = _Walks()


def _float(value: float, _: dict[int, object]) -> float:
    return significant(value)


def _tuple(value: tuple[Any, ...], seen: dict[int, object]) -> object:
    known = seen.get(id(value))
    if known is None:
        walks = _WALKS
        parts = tuple([part if (walk := walks[type(part)]) is None else walk(part, seen) for part in value])
        known = seen[id(value)] = value if all(map(is_, parts, value)) else parts
    return known


def _dataclass_walk(kind: Any) -> _Walk | None:
    """Of the fields that may hold a float, the others being the ones that the value already has."""
    names = tuple(f.name for f in fields(kind))
    moving = tuple(place for place, f in enumerate(fields(kind)) if not _holds_no_float(f.type))
    if not moving:
        return None
    walks, new, parts_of, puts = _WALKS, kind.__new__, _getter(names), tuple(_putter(kind, name) for name in names)

    def walk(value: Any, seen: dict[int, object]) -> object:
        parts = parts_of(value)
        changed = None
        for place in moving:
            part = parts[place]
            # Most of them are floats, and a result has thousands.
            if type(part) is float:
                found: object = significant(part)
            elif (deeper := walks[type(part)]) is None:
                continue
            else:
                found = deeper(part, seen)
            if found is not part:
                changed = list(parts) if changed is None else changed
                changed[place] = found
        if changed is None:
            return value
        # A copy without a second validation.
        twin = new(kind)
        for put, part in zip(puts, changed):  # noqa: B905 - of one length, and asking costs a tenth of the walk
            put(twin, part)
        return twin

    return walk


def _putter(kind: Any, name: str) -> Callable[[Any, object], None]:
    """Puts this attribute of a frozen value: at its slot where it has one."""
    slot = kind.__dict__.get(name)
    if isinstance(slot, MemberDescriptorType):
        return slot.__set__
    return lambda value, part: object.__setattr__(value, name, part)


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """The attributes of these names, as a tuple also where it is one name."""
    if len(names) == 1:
        one = attrgetter(*names)
        return lambda value: (one(value),)
    return attrgetter(*names)


def _holds_no_float(hint: Any) -> bool:
    return all(isinstance(part, type) and issubclass(part, _WITHOUT_FLOATS) for part in get_args(hint) or (hint,))
