"""What is said of a wrong field: the product's own words, in place of those of the library that finds it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import marshmallow
from marshmallow import fields

UNKNOWN_FIELD = "There is no such field."
_TIME = "Must be a time in RFC 3339 with its zone, such as 2026-11-20T12:00:00Z."
_DATE = "Must be a date, such as 2026-11-20."
_OBJECT = "Must be an object."
_BY_KIND: Mapping[type[fields.Field[Any]], Mapping[str, str]] = MappingProxyType(
    {
        fields.Field: {
            "required": "This field is required.",
            "null": "null is not a value here.",
            "validator_failed": "Is not a value of this field.",
        },
        fields.String: {"invalid": "Must be a string.", "invalid_utf8": "Must be a string in UTF-8."},
        fields.Number: {"invalid": "Must be a number.", "too_large": "Must be a smaller number."},
        fields.Integer: {"invalid": "Must be a whole number."},
        fields.Float: {"special": "Must be a finite number."},
        fields.Boolean: {"invalid": "Must be true or false."},
        fields.Enum: {"unknown": "Must be one of {choices}."},
        fields.AwareDateTime: {"invalid": _TIME, "invalid_awareness": _TIME, "format": _TIME},
        fields.Date: {"invalid": _DATE, "invalid_awareness": _DATE, "format": _DATE},
        fields.List: {"invalid": "Must be a list."},
        fields.Mapping: {"invalid": _OBJECT},
        fields.Nested: {"type": _OBJECT},
    }
)
# Where a field keeps what holds it.
_ABOVE = frozenset({"parent", "root"})


class WordedSchema(marshmallow.Schema):
    """Every schema of the product: whatever is wrong is said in its words."""

    error_messages: ClassVar[dict[str, str]] = {  # type: ignore[misc]
        "unknown": UNKNOWN_FIELD,
        "type": _OBJECT,
    }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """The field, and what it holds, speak like the product."""
        super().on_bind_field(field_name, field_obj)
        _give_words(field_obj)


def _give_words(field: fields.Field[Any]) -> None:
    for kind in reversed(type(field).__mro__):
        field.error_messages |= _BY_KIND.get(kind, {})
    for member in _members(field):
        _give_words(member)


def _members(field: fields.Field[Any]) -> Iterator[fields.Field[Any]]:
    """The fields that a field holds: of the items of a list, of the variants of a union."""
    for name, value in vars(field).items():
        if name not in _ABOVE:
            held = value.values() if isinstance(value, Mapping) else (value,)
            yield from (part for part in held if isinstance(part, fields.Field))
