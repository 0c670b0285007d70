"""Plain data -> a tree of dataclasses, by their annotations: for files whose shape is the dataclass itself."""

import dataclasses
import math
import types
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from marshmallow import ValidationError

from service.schemas.issue import Issue, nearest


def load_typed(record: type, raw: Any) -> Any:
    """The dataclass that a mapping describes. Raises ValidationError with every wrong field by its path."""
    if not isinstance(raw, Mapping):
        raise ValidationError([Issue("Must be an object.", value=raw)])
    hints = _hints(record)
    wrong: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for key in raw:
        if key not in hints:
            near = nearest(str(key), hints)
            wrong[str(key)] = [Issue("There is no such field.", did_you_mean=near)]
    for field in dataclasses.fields(record):
        if not field.init:
            continue
        if field.name not in raw:
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                wrong[field.name] = [Issue("This field is required.")]
            continue
        try:
            values[field.name] = _value(hints[field.name], raw[field.name])
        except ValidationError as error:
            wrong[field.name] = error.messages
    if wrong:
        raise ValidationError(wrong)
    return record(**values)


@lru_cache(maxsize=64)
def _hints(record: type) -> dict[str, Any]:
    return get_type_hints(record)


def _value(hint: Any, raw: Any) -> Any:
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        if raw is None:
            return None
        return _value(next(part for part in get_args(hint) if part is not type(None)), raw)
    if origin is tuple:
        return _tuple(get_args(hint), raw)
    if dataclasses.is_dataclass(hint):
        return load_typed(hint, raw)  # type: ignore[arg-type]
    return _scalar(hint, raw)


def _tuple(parts: tuple[Any, ...], raw: Any) -> tuple[Any, ...]:
    # A mapping of names to texts reads better in a file than a list of pairs.
    items = list(raw.items()) if isinstance(raw, Mapping) else raw
    if not isinstance(items, list | tuple):
        raise ValidationError([Issue("Must be a list.", value=raw)])
    if len(parts) == 2 and parts[1] is Ellipsis:
        return tuple(_at(place, parts[0], item) for place, item in enumerate(items))
    if len(items) != len(parts):
        raise ValidationError([Issue(f"Must hold {len(parts)} values.", value=len(items))])
    return tuple(_at(place, part, item) for place, (part, item) in enumerate(zip(parts, items, strict=True)))


def _at(place: int, hint: Any, item: Any) -> Any:
    try:
        return _value(hint, item)
    except ValidationError as error:
        raise ValidationError({str(place): error.messages}) from error


def _scalar(hint: Any, raw: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        known = [str(member) for member in hint]
        if raw not in known:
            limit = ", ".join(known)
            raise ValidationError([Issue(f"Must be one of {limit}.", value=raw, limit=limit)])
        return hint(raw)
    if hint is float:
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
            raise ValidationError([Issue("Must be a finite number.", value=raw)])
        return float(raw)
    if hint is Decimal:
        return _decimal(raw)
    if not isinstance(raw, hint) or (hint is int and isinstance(raw, bool)):
        names = {str: "a text", int: "a whole number", bool: "true or false"}
        raise ValidationError([Issue(f"Must be {names.get(hint, hint)}.", value=raw)])
    return raw


def _decimal(raw: Any) -> Decimal:
    """An exact number: written as text, so that no digit is lost on the way."""
    try:
        amount = Decimal(raw) if isinstance(raw, str) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite():
        raise ValidationError([Issue("Must be a decimal number written as a text.", value=raw)])
    return amount
