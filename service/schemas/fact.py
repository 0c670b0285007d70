"""A fact as files state it and callers see it: a value with its basis and sources. Unknown is a value too."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.issue import Issue, nearest
from service.schemas.words import WordedSchema

_DAY = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
CATALOG_SOURCE = "catalog"
"""The source of what the catalog itself decides."""

_MEMBERS = ("value", "basis", "sources", "note", "date")


class FactBasis(StrEnum):
    """How a value is known."""

    SEEN = "seen"
    SEEN_SECONDARY = "seen_secondary"
    INFERRED = "inferred"
    RECALLED = "recalled"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"
    # What the catalog itself decides: names, grouping, what is offered.
    STATED = "stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value as it stands in its file: how it is known, from where, since when."""

    field: str
    value: Any
    basis: str
    sources: tuple[str, ...]
    note: str | None
    date: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSheet:
    """The facts of one record, for `/v1/catalog` and for the working."""

    id: str
    name: str
    facts: tuple[Fact, ...]


class FactField(fields.Field[Any]):
    """`{value, basis, sources, note, date}`; the value is checked by the field inside."""

    def __init__(self, inner: fields.Field[Any], *, known: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"required": True, **kwargs})
        self.inner, self.known = inner, known

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Fact:
        if not isinstance(value, Mapping):
            raise ValidationError(Issue(f"Must be an object of {', '.join(_MEMBERS)}.", value=value))
        wrong = {str(key): ["There is no such field."] for key in value if key not in _MEMBERS}
        wrong |= {name: ["This field is required."] for name in ("value", "basis", "sources") if name not in value}
        if wrong:
            raise ValidationError(wrong)
        fact = Fact(
            field=str(attr),
            value=None if value["value"] is None else self._value(value["value"]),
            basis=_basis(value["basis"]),
            sources=_sources(value["sources"]),
            note=_text(value.get("note"), "note"),
            date=_day(value.get("date")),
        )
        self._agrees(fact)
        return fact

    def _value(self, value: Any) -> Any:
        try:
            return self.inner.deserialize(value)
        except ValidationError as error:
            raise ValidationError({"value": error.messages}) from error

    def _agrees(self, fact: Fact) -> None:
        if fact.value is None and self.known:
            raise ValidationError({"value": [Issue("null is not a value here.")]})
        if (fact.value is None) != (fact.basis == FactBasis.UNKNOWN):
            issue = Issue("unknown goes with null, and null with unknown.", value=fact.basis)
            raise ValidationError({"basis": [issue]})
        if fact.value is not None and not fact.sources:
            raise ValidationError({"sources": [Issue("A value needs at least one source.")]})


def _basis(value: Any) -> str:
    known = [str(basis) for basis in FactBasis if basis is not FactBasis.STATED]
    if not isinstance(value, str) or value not in known:
        near = nearest(value, known) if isinstance(value, str) else ()
        limit = ", ".join(known)
        issue = Issue(f"Must be one of {limit}.", value=value, limit=limit, did_you_mean=near)
        raise ValidationError({"basis": [issue]})
    return value


def _sources(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(source, str) and source for source in value):
        raise ValidationError({"sources": [Issue("Must be a list of source ids.", value=value)]})
    return tuple(value)


def _text(value: Any, name: str) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise ValidationError({name: [Issue("Must be a text.", value=value)]})
    return value


def _day(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not _DAY.fullmatch(value)):
        raise ValidationError({"date": [Issue("Must be written YYYY-MM-DD, YYYY-MM or YYYY.", value=value)]})
    return value


def stated(field: str, value: Any) -> Fact:
    """What the catalog itself decides about a record; unknown where it cannot."""
    basis = FactBasis.UNKNOWN if value is None else FactBasis.STATED
    sources = () if value is None else (CATALOG_SOURCE,)
    return Fact(field=field, value=value, basis=str(basis), sources=sources, note=None, date=None)


def with_default_date(fact: Fact, date: str | None) -> Fact:
    """The fact itself, or with the date of its file when it has none of its own."""
    return fact if fact.date is not None else dataclasses.replace(fact, date=date)


class FactSchema(WordedSchema):
    """One fact, as callers see it."""

    field = fields.String(metadata={"description": "What the value says; the name ends in its unit."})
    value = fields.Raw(allow_none=True, metadata={"description": "The value; null when nobody published it."})
    basis = fields.String(metadata={"description": "How it is known.", "enum": [str(basis) for basis in FactBasis]})
    sources = fields.List(fields.String(), metadata={"description": "Ids of its sources."})
    note = fields.String(allow_none=True, metadata={"description": "What to mind."})
    date = fields.String(allow_none=True, metadata={"description": "When it was gathered."})


class FactSheetSchema(WordedSchema):
    """A record of the catalog with every fact."""

    id = fields.String(metadata={"description": "Id to use in requests."})
    name = fields.String(metadata={"description": "What people call it."})
    facts = fields.List(fields.Nested(FactSchema), metadata={"description": "Everything that is known about it."})
