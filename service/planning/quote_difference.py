"""What changed from one revision of a quote to another, with what people call it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from service.access import Caller
from service.documents.change_names import change_name
from service.errors import ConflictError
from service.planning.quotes import get_quote
from service.quoting.difference import Change
from service.quoting.revision import LineFate, RevisionDifference, revision_difference
from service.runtime import Runtime
from service.schemas.revision import revision_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedChange:
    """A quantity that differs, and what people call it."""

    quantity: str
    name: str
    old: Any
    new: Any
    change_fraction: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedLineChange:
    """A line that is not the same, by the name that it has in the quote."""

    line: str
    name: str
    fate: LineFate
    changes: tuple[NamedChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDifference:
    """Why, what, and what it comes to; all empty between equal revisions."""

    causes: tuple[NamedChange, ...]
    lines: tuple[NamedLineChange, ...]
    sums: tuple[NamedChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteDifference:
    """Two revisions of one number, and what changed from the old one to the new one."""

    number: str
    old_revision: int
    new_revision: int
    old_currency: str
    new_currency: str
    old_quote_id: str
    new_quote_id: str
    old_sha256: str
    new_sha256: str
    difference: NamedDifference


def quote_difference(runtime: Runtime, caller: Caller, quote_id: str, *, other_id: str) -> QuoteDifference:
    """From revision to other revision, of one number; NotFoundError where there is none, ConflictError for others."""
    old, new = get_quote(runtime, caller, quote_id), get_quote(runtime, caller, other_id)
    if old.number != new.number:
        raise ConflictError(
            f"{old.id} is of quote {old.number} and {new.id} of {new.number}; compare revisions of one."
        )
    before, after = orjson.loads(old.snapshot), orjson.loads(new.snapshot)
    names = {line["id"]: line["name"] for line in (*before["lines"], *after["lines"])}
    return QuoteDifference(
        number=old.number,
        old_revision=old.revision,
        new_revision=new.revision,
        old_currency=old.currency,
        new_currency=new.currency,
        old_quote_id=old.id,
        new_quote_id=new.id,
        old_sha256=old.sha256,
        new_sha256=new.sha256,
        difference=_named(revision_difference(revision_of(before), revision_of(after)), names),
    )


def _named(found: RevisionDifference, names: Mapping[str, str]) -> NamedDifference:
    return NamedDifference(
        causes=_changes(found.causes),
        lines=tuple(
            NamedLineChange(line=one.line, name=names[one.line], fate=one.fate, changes=_changes(one.changes))
            for one in found.lines
        ),
        sums=_changes(found.sums),
    )


def _changes(found: Iterable[Change]) -> tuple[NamedChange, ...]:
    return tuple(
        NamedChange(
            quantity=one.quantity,
            name=change_name(one.quantity),
            old=one.old,
            new=one.new,
            change_fraction=one.change_fraction,
        )
        for one in found
    )
