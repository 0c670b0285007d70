"""What stands in a form: fields made from the schemas that read requests, so that words and bounds are theirs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from marshmallow import Schema, fields

from service.documents.labels import label, unit
from service.schemas.constraints import CountryField, DayField
from service.schemas.currency import CurrencyField
from service.schemas.exact import ExactField, Rate
from service.schemas.length import LengthField
from service.schemas.model import ModelField
from service.schemas.strict import Amount, Choice, Count, Flag, Money, Names, Text
from service.web.form.typed_number import percentage
from service.web.wording import digits

MEAN, P95 = "mean", "p95"
PERCENT = "%"
SHARE = "0 to 1, or %"
"""The unit of a share that is typed as 0.3 or as 30 %."""
# A text that may be so long is a sentence or more.
_LONG_TEXT = 400


class Shape(StrEnum):
    """How a field is typed in."""

    NUMBER = "number"
    TEXT = "text"
    MONEY = "money"
    DAY = "day"
    CHOICE = "choice"
    FLAG = "flag"
    NAMES = "names"
    MODEL = "model"
    EXACT = "exact"
    RANGE = "range"
    COUNTRY = "country"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field: `path` is its place in the body of a request, `default` what holds where it is left empty."""

    path: str
    label: str
    shape: Shape
    what: str
    unit: str = ""
    default: str = ""
    limit: str = ""
    # Between what a number lies, as it is typed.
    bounds: tuple[float, float] = (-math.inf, math.inf)
    required: bool = False
    options: tuple[tuple[str, str], ...] = ()
    # Several short fields share a line.
    wide: bool = False
    # What has to be known before it is typed, and so stands beside it.
    note: str = ""
    # Whether a dot is that of decimals whatever follows it: a rate of exchange is hardly ever a whole thousand.
    dot_is_clear: bool = False
    # The last member of the place, where that is a name which may hold a dot.
    key: str = ""

    @property
    def id(self) -> str:
        """Its id in the page."""
        return self.path.replace(".", "-").replace("_", "-")

    @property
    def place(self) -> tuple[str, ...]:
        """The members that lead to it in the body of a request."""
        if not self.key:
            return tuple(self.path.split("."))
        return (*self.path.removesuffix(f".{self.key}").split("."), self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One of several things that may be said, with the fields that say it."""

    name: str
    label: str
    fields: tuple[FormField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Fields under one heading; of `alternatives` exactly one counts."""

    title: str
    fields: tuple[FormField, ...] = ()
    path: str = ""
    alternatives: tuple[Alternative, ...] = ()
    folded: bool = False

    @property
    def everything(self) -> tuple[FormField, ...]:
        """All fields of the group, those of every alternative too."""
        return (*self.fields, *(field for one in self.alternatives for field in one.fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A whole form. `fixed` is what the body says beside what is typed in."""

    kind: str
    title: str
    lead: str
    groups: tuple[Group, ...]
    fixed: tuple[tuple[str, str], ...]

    @property
    def everything(self) -> tuple[FormField, ...]:
        """All its fields."""
        return tuple(field for group in self.groups for field in group.everything)


def fields_of(schema: Schema, prefix: str, *names: str, words: Mapping[str, str]) -> tuple[FormField, ...]:
    """Form fields of some fields of a schema; lengths become two, and `a.b` is the field b of what is nested in a.

    `words` are their labels by path or by name; the other names are put into words as they stand.
    """
    made: list[FormField] = []
    for name in names:
        own, _, inner = name.partition(".")
        found = schema.load_fields[own]
        if not inner:
            made += _made(found, f"{prefix}.{own}", words)
            continue
        assert isinstance(found, fields.Nested)
        nested = fields_of(found.schema, f"{prefix}.{own}", inner, words=words)
        made += nested if found.required else [replace(field, required=False) for field in nested]
    return tuple(made)


def _made(found: fields.Field[Any], path: str, words: Mapping[str, str]) -> list[FormField]:
    if not isinstance(found, LengthField):
        return [_one(found, path, words)]
    whole = str(found.metadata["description"])
    parts = {MEAN: whole, P95: f"{whole} 95 of 100 stay below this."}
    return [
        _one(
            found.schema.load_fields[part],
            f"{path}.{part}",
            words,
            what=what,
            required=found.required and part == MEAN,
            default="the mean" if part == P95 else "",
        )
        for part, what in parts.items()
    ]


def _one(
    found: fields.Field[Any],
    path: str,
    words: Mapping[str, str],
    *,
    what: str | None = None,
    required: bool | None = None,
    default: str | None = None,
) -> FormField:
    name = path.rpartition(".")[2]
    shape = _shape(found)
    made = FormField(
        path=path,
        label=words.get(path) or words.get(name) or label(name),
        shape=shape,
        what=what or str(found.metadata.get("description", "")),
        unit=_unit(name, shape),
        default=_default(found) if default is None else default,
        limit=_limit(found),
        bounds=_bounds(found),
        required=found.required if required is None else required,
        dot_is_clear=isinstance(found, Rate),
        options=_options(found),
        wide=shape in {Shape.MODEL, Shape.NAMES} or (isinstance(found, Text) and found.longest >= _LONG_TEXT),
    )
    return _in_percent(made)


def _shape(found: fields.Field[Any]) -> Shape:
    shapes: tuple[tuple[tuple[type, ...], Shape], ...] = (
        ((Amount, Count), Shape.NUMBER),
        ((Choice,), Shape.CHOICE),
        ((Flag,), Shape.FLAG),
        ((Names,), Shape.NAMES),
        ((ModelField,), Shape.MODEL),
        ((Money,), Shape.MONEY),
        ((DayField,), Shape.DAY),
        ((ExactField,), Shape.EXACT),
        ((CountryField,), Shape.COUNTRY),
        ((Text, CurrencyField), Shape.TEXT),
    )
    for kinds, shape in shapes:
        if isinstance(found, kinds):
            return shape
    raise TypeError(f"a form cannot show a {type(found).__name__}")


def _unit(name: str, shape: Shape) -> str:
    if shape is Shape.MONEY:
        return "US$"
    # A price is in the currency that stands beside it, not in what it is a price of.
    if shape not in {Shape.NUMBER, Shape.EXACT} or "_price_" in name:
        return ""
    if not name.endswith("_fraction") and "_fraction_" not in name:
        return unit(name)
    # What is agreed upon, such as a discount, is typed in percent; any other share as 0.3 or as 30 %.
    return PERCENT if shape is Shape.EXACT else SHARE


def _limit(found: fields.Field[Any]) -> str:
    if isinstance(found, Amount | Count):
        return found.bounds.limit
    return f"{found.low} to {found.high}" if isinstance(found, ExactField) else ""


def _bounds(found: fields.Field[Any]) -> tuple[float, float]:
    if isinstance(found, Amount | Count):
        return found.bounds.low, found.bounds.high
    return (float(found.low), float(found.high)) if isinstance(found, ExactField) else (-math.inf, math.inf)


def _in_percent(field: FormField) -> FormField:
    if field.shape is not Shape.EXACT or field.unit != PERCENT:
        return field
    low, high = (percentage(end) for end in field.limit.split(" to "))
    bounds = (field.bounds[0] * 100, field.bounds[1] * 100)
    return replace(field, default=percentage(field.default), limit=f"{low} to {high}", bounds=bounds)


def _default(found: fields.Field[Any]) -> str:
    value = found.metadata.get("default") if isinstance(found, ExactField) else found.load_default
    if value is None or not isinstance(value, str | int | float) or found.required:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return digits(value) if isinstance(value, int | float) else str(value)


def _options(found: fields.Field[Any]) -> tuple[tuple[str, str], ...]:
    if isinstance(found, Choice):
        return tuple((value, value.replace("_", " ")) for value in found.choices)
    if isinstance(found, Flag):
        return (("true", "yes"), ("false", "no"))
    return ()
