"""Lead times: the seller's own table against the wished date; what was said in public stands beside it as context."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from service.quoting.bom import Bom
from service.quoting.book import Book
from service.quoting.prices import PartKind

_NOT_SHIPPED = frozenset({PartKind.SOFTWARE, PartKind.SUPPORT, PartKind.SERVICE})


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadTimeNote:
    """What somebody said about lead times: `said` is when. `sources` are ids in the file, texts in a supply."""

    id: str
    about: str
    said: str
    statement: str
    basis: str
    confidence: str
    sources: tuple[str, ...]
    low_weeks: int | None = None
    high_weeks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogFact:
    """Orders, shipments and backlog of AI servers in a quarter, in billions of USD, as reported."""

    quarter: str
    reported: str
    basis: str
    sources: tuple[str, ...]
    orders_usd_b: Decimal | None = None
    shipped_usd_b: Decimal | None = None
    backlog_usd_b: Decimal | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadTimeNotes:
    """The whole file, with its sources as texts."""

    date: str
    digest: str
    notes: tuple[LeadTimeNote, ...]
    backlog: tuple[BacklogFact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadTime:
    """What the seller states of a part, as of an ISO date."""

    weeks: int
    as_of: str


class Delivery(StrEnum):
    """What the seller's lead times say of the wished date; a part without one leaves it open."""

    IN_TIME = "in_time"
    LATE = "late"
    UNKNOWN = "unknown"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSupply:
    """One part: weeks as stated, and the day that an order of the supply's day would be ready [ISO]."""

    part: str
    weeks: int | None
    as_of: str | None
    ready_on: str | None
    late: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """All parts that are shipped; `longest_weeks` is of those that the seller states a lead time of."""

    ordered_on: str
    deliver_by: str | None
    delivery: Delivery
    longest_weeks: int | None
    parts: tuple[PartSupply, ...]
    without_lead_time: tuple[str, ...]
    notes: tuple[LeadTimeNote, ...]
    backlog: tuple[BacklogFact, ...]


def lead_times_of(book: Book) -> dict[str, LeadTime]:
    """The lead times that a seller's book states, as of its date."""
    return {
        part: LeadTime(weeks=line.lead_time_weeks, as_of=book.date)
        for part, line in book.lines.items()
        if line.lead_time_weeks is not None
    }


def supply(
    bom: Bom, lead_times: Mapping[str, LeadTime], *, ordered_on: date, deliver_by: date | None, context: LeadTimeNotes
) -> Supply:
    """The seller's lead times against `deliver_by`, counted from the day of the order."""
    shipped = dict.fromkeys(line.part for line in bom.lines if line.quantity and line.kind not in _NOT_SHIPPED)
    parts = tuple(_part(part, lead_times.get(part), ordered_on, deliver_by) for part in shipped)
    weeks = [part.weeks for part in parts if part.weeks is not None]
    return Supply(
        ordered_on=ordered_on.isoformat(),
        deliver_by=None if deliver_by is None else deliver_by.isoformat(),
        delivery=_delivery(parts, deliver_by),
        longest_weeks=max(weeks, default=None),
        parts=parts,
        without_lead_time=tuple(part.part for part in parts if part.weeks is None),
        notes=context.notes,
        backlog=context.backlog,
    )


def _part(part: str, stated: LeadTime | None, ordered_on: date, deliver_by: date | None) -> PartSupply:
    if stated is None:
        return PartSupply(part=part, weeks=None, as_of=None, ready_on=None, late=None)
    ready = ordered_on + timedelta(weeks=stated.weeks)
    late = None if deliver_by is None else ready > deliver_by
    return PartSupply(part=part, weeks=stated.weeks, as_of=stated.as_of, ready_on=ready.isoformat(), late=late)


def _delivery(parts: tuple[PartSupply, ...], deliver_by: date | None) -> Delivery:
    if deliver_by is None:
        return Delivery.NOT_ASKED
    if any(part.late for part in parts):
        return Delivery.LATE
    return Delivery.UNKNOWN if any(part.weeks is None for part in parts) else Delivery.IN_TIME
