"""What callers see of price books: values, detached from any session, with the state that a book has on a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from service.store.tables.price_books import PriceBookLineRow, PriceBookRow


class BookState(StrEnum):
    """What has become of a book by a day."""

    UPLOADED = "uploaded"
    SCHEDULED = "scheduled"
    IN_FORCE = "in_force"
    REPLACED = "replaced"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPartView:
    """One line of a book; without a price the part has none, never zero."""

    part: str
    kind: str
    unit: str
    list_price: Decimal | None
    sku: str | None
    lead_time_weeks: int | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookWarning:
    """A line that is stored and looks odd; `row` is that of an uploaded table."""

    line: int
    row: int | None
    part: str
    message: str
    did_you_mean: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBookView:
    """A version of a book as its tenant sees it; `lines` only where they were asked for. Days are ISO dates."""

    id: str
    tenant_id: str
    name: str
    version: int
    state: BookState
    currency: str
    date: str
    expires_on: str | None
    effective_from: str | None
    indicative: bool
    note: str
    line_count: int
    without_price: int
    digest: str
    used: bool
    changes: int
    principal: str
    created_at: datetime
    activated_at: datetime | None
    lines: tuple[PricedPartView, ...] = ()
    warnings: tuple[BookWarning, ...] = ()


def state_of(row: PriceBookRow, *, on: date, in_force: Mapping[str, PriceBookRow]) -> BookState:
    """The state of a book on a day; `in_force` are the books that price then, by currency."""
    if row.expires_on is not None and row.expires_on < on:
        return BookState.EXPIRED
    if row.effective_from is None:
        return BookState.UPLOADED
    if row.effective_from > on:
        return BookState.SCHEDULED
    pricing = in_force.get(row.currency)
    return BookState.IN_FORCE if pricing is not None and pricing.id == row.id else BookState.REPLACED


def price_book_view(
    row: PriceBookRow,
    *,
    state: BookState,
    lines: tuple[PriceBookLineRow, ...] = (),
    warnings: tuple[BookWarning, ...] = (),
) -> PriceBookView:
    """The view of a row."""
    return PriceBookView(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        version=row.version,
        state=state,
        currency=row.currency,
        date=row.dated.isoformat(),
        expires_on=_day(row.expires_on),
        effective_from=_day(row.effective_from),
        indicative=row.indicative,
        note=row.note,
        line_count=row.line_count,
        without_price=row.line_count - row.priced_count,
        digest=row.digest,
        used=row.used_at is not None,
        changes=row.changes,
        principal=row.principal,
        created_at=row.created_at,
        activated_at=row.activated_at,
        lines=tuple(
            PricedPartView(**{name: getattr(line, name) for name in PricedPartView.__slots__}) for line in lines
        ),
        warnings=warnings,
    )


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
