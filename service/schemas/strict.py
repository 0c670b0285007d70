"""Strict loading: bounded numbers, clean text, exactly-one-of groups, and no field that nobody knows."""

import dataclasses
import math
import unicodedata
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, missing, post_load, pre_load, validate

from service.schemas.issue import MAX_ISSUES, Issue, nearest
from service.schemas.words import UNKNOWN_FIELD, WordedSchema
from service.sizing.spoken import spoken

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They turn what is read after them around, so that a text shows another thing than its letters (Trojan Source, 2021).
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INT64 = 2**63
_SUGGESTED = 3


def whole(value: float) -> int | float:
    """1000 for 1000.0: one shape for a number, however it was written."""
    return int(value) if value.is_integer() and abs(value) < _INT64 else value


def _metadata(what: str, extra: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"description": what, **(extra or {})}


class Bounds(validate.Validator):
    """A closed range whose message names value and limit; with `above`, the lower end itself is outside."""

    def __init__(self, low: float, high: float, *, above: bool = False) -> None:
        self.low, self.high, self.above = low, high, above
        # What the OpenAPI converter reads.
        self.min, self.max = (None if above else low), high

    @property
    def limit(self) -> str:
        """The range in words."""
        return f"{'more than' if self.above else 'at least'} {spoken(self.low)}, at most {spoken(self.high)}"

    def __call__(self, value: float) -> float:
        """The value itself, or a ValidationError that names the limit."""
        if value < self.low or value > self.high or (self.above and value == self.low):
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return value


class Amount(fields.Float):
    """A finite number inside its bounds; a string or a boolean is not a number."""

    def __init__(self, what: str, *, low: float, high: float, above: bool = False, **kwargs: Any) -> None:
        self.bounds = Bounds(low, high, above=above)
        extra = {"exclusiveMinimum": low} if above else None
        super().__init__(validate=self.bounds, metadata=_metadata(what, extra), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        number = _number(value, self.bounds)
        if not math.isfinite(number):
            raise ValidationError(Issue("Must be a finite number.", value=value, limit=self.bounds.limit))
        return number

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else whole(float(value))


class Count(fields.Integer):
    """A whole number inside its bounds, however it is written: 1e3, 1000 and 1000.0 are the same count."""

    def __init__(self, what: str, *, low: int, high: int, **kwargs: Any) -> None:
        self.bounds = Bounds(low, high)
        super().__init__(validate=self.bounds, metadata=_metadata(what, None), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = _number(value, self.bounds)
        if not number.is_integer():
            raise ValidationError(Issue("Must be a whole number.", value=value, limit=self.bounds.limit))
        return int(number)


def _number(value: Any, bounds: Bounds) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValidationError(Issue("Must be a number.", value=value, limit=bounds.limit))
    # Before the digits are lost: as a float, a whole number just beyond a large bound would lie on it.
    return float(bounds(value) if isinstance(value, int) else value)


class Flag(fields.Boolean):
    """true or false, and nothing that only looks like it."""

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(metadata=_metadata(what, None), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(Issue("Must be true or false.", value=value))
        return value


class Text(fields.String):
    """Text of limited length without control characters, line breaks or halves of surrogate pairs."""

    def __init__(self, what: str, *, longest: int = 200, shortest: int = 1, **kwargs: Any) -> None:
        self.longest, self.shortest = longest, shortest
        extra = {"minLength": shortest, "maxLength": longest}
        super().__init__(metadata=_metadata(what, extra), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return self.checked(value)

    def checked(self, value: Any) -> str:
        """The text itself; ValidationError says what is wrong with it."""
        if not isinstance(value, str):
            raise ValidationError(Issue("Must be a string.", value=value))
        return clean_text(value, shortest=self.shortest, longest=self.longest)


def clean_text(value: str, *, shortest: int, longest: int) -> str:
    """The text itself when its length is right and every character can be shown on one line."""
    limit = f"{shortest} to {longest} characters"
    if not shortest <= len(value) <= longest:
        raise ValidationError(Issue(f"Must have {limit}; this has {len(value)}.", limit=limit))
    # Most text is plain, and this is quicker to see than what each character is.
    if not value.isprintable() and any(_refused(character) for character in value):
        raise ValidationError(Issue("Control characters, line breaks and marks that turn the text are not allowed."))
    if shortest and not value.strip():
        raise ValidationError(Issue("Must not be blank.", limit=limit))
    return value


def _refused(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in _REFUSED_CATEGORIES


class Choice(fields.String):
    """One of the values of a StrEnum, or of some of them."""

    def __init__(self, what: str, members: type[StrEnum] | tuple[StrEnum, ...], **kwargs: Any) -> None:
        self.choices = {str(member): member for member in members}
        enum: list[str | None] = [*self.choices, None] if kwargs.get("allow_none") else [*self.choices]
        super().__init__(metadata=_metadata(what, {"enum": enum}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        limit = ", ".join(self.choices)
        if not isinstance(value, str):
            raise ValidationError(Issue(f"Must be one of {limit}.", value=value, limit=limit))
        if value not in self.choices:
            near = nearest(value, self.choices)
            raise ValidationError(Issue(f"Must be one of {limit}.", value=value, limit=limit, did_you_mean=near))
        return self.choices[value]

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else str(value)


class Names(fields.List[str]):
    """A set of names: order and repetition mean nothing, so they are sorted and made unique."""

    def __init__(self, what: str, *, most: int = 100, **kwargs: Any) -> None:
        self.most = most
        extra = {"minItems": 1, "maxItems": most, "uniqueItems": False}
        super().__init__(Text("A name"), metadata=_metadata(what, extra), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        limit = f"1 to {self.most} names"
        if not isinstance(value, list):
            raise ValidationError(Issue("Must be a list of names.", value=value, limit=limit))
        if not 1 <= len(value) <= self.most:
            raise ValidationError(Issue(f"Must hold {limit}; this holds {len(value)}.", limit=limit))
        return tuple(sorted(set(super()._deserialize(value, attr, data, **kwargs))))


class Money(fields.String):
    """An amount of money as a decimal string with at most two decimals; kept as text, never as a float."""

    pattern = r"^\d{1,13}(\.\d{1,2})?$"
    limit = 'more than 0, at most 9999999999999.99, as a string such as "250000.00"'

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(
            metadata=_metadata(what, {"pattern": self.pattern, "examples": ["250000.00"]}),
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError(Issue("Money is written as a decimal string.", value=value, limit=self.limit))
        whole_part, _, cents = value.partition(".")
        digits = whole_part.isascii() and whole_part.isdigit() and len(whole_part) <= 13
        if not digits or ("." in value and not (cents.isascii() and cents.isdigit() and len(cents) <= 2)):
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return self._normal(value)

    def _normal(self, value: str) -> str:
        try:
            amount = Decimal(value)
        except InvalidOperation as error:
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit)) from error
        if amount <= 0:
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return format(amount.normalize(), "f")


class StrictSchema(WordedSchema):
    """Refuses what it does not know, and says what was probably meant."""

    # JSON Schema beyond the fields: what a body must meet as a whole.
    conditions: ClassVar[Mapping[str, Any]] = {}
    # Fields that belong to a sibling of this schema: name -> why not here and what to do instead.
    refused: ClassVar[Mapping[str, str]] = {}

    @pre_load
    def _refuse_a_flood(self, data: Any, **_: Any) -> Any:
        if isinstance(data, Mapping) and len(data) > len(self.load_fields) + MAX_ISSUES:
            surplus = sorted(str(key) for key in data if key not in self._wire_names())[:MAX_ISSUES]
            raise ValidationError({key: [UNKNOWN_FIELD] for key in surplus})
        return data

    def handle_error(self, error: ValidationError, data: Any, **_: Any) -> None:
        """Says for an unknown field which known one is near."""
        if not isinstance(data, Mapping) or not isinstance(error.messages, dict):
            return
        known = self._wire_names()
        for key in error.messages:
            if key in data and key not in known:
                error.messages[key] = [self._unknown(str(key), known)]

    def _unknown(self, key: str, known: list[str]) -> Issue:
        if key in self.refused:
            return Issue(self.refused[key])
        # Who types `gpus` means `allowed_gpus`.
        near = nearest(key, known) or tuple(name for name in known if key in name.split("_"))[:_SUGGESTED]
        if near:
            return Issue(f"There is no such field. Did you mean {near[0]}?", did_you_mean=near)
        return Issue(UNKNOWN_FIELD, limit=f"one of {', '.join(known)}")

    def _wire_names(self) -> list[str]:
        return [field.data_key or name for name, field in self.load_fields.items()]


class RecordSchema(StrictSchema):
    """A strict schema whose load makes a dataclass."""

    record: ClassVar[type]
    # Values of the dataclass that this schema has no field for.
    filled: ClassVar[Mapping[str, Any]] = {}

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        names = {field.name for field in dataclasses.fields(self.record) if field.init}
        return self.record(**{**self.filled, **{name: value for name, value in data.items() if name in names}})


def given(data: Any, names: tuple[str, ...]) -> list[str]:
    """Which of these fields a body really gives; null is the same as absent."""
    return [name for name in names if data.get(name) is not None] if isinstance(data, Mapping) else []


def some_of(keyword: str, names: tuple[str, ...]) -> dict[str, Any]:
    """JSON Schema: `oneOf` (exactly one) or `anyOf` (at least one) of these fields is given; null gives nothing."""
    return {keyword: [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]}


def require_exactly_one(data: Any, names: tuple[str, ...]) -> None:
    """Refuses none and more than one of a group, naming those that were given."""
    present = given(data, names)
    limit = f"exactly one of {', '.join(names)}"
    if not present:
        raise ValidationError(Issue(f"Give {limit}; none was given.", limit=limit))
    if len(present) > 1:
        raise ValidationError(Issue(f"Give {limit}; given were {' and '.join(present)}.", limit=limit))


def drop_absent(data: dict[str, Any]) -> dict[str, Any]:
    """A dumped group without the members that were not chosen."""
    return {key: value for key, value in data.items() if value is not None and value is not missing}
