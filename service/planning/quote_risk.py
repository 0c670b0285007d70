"""Quotes at risk: live ones whose run was answered anew, whose prices were replaced or end, or whose validity ends."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy.orm import Session

from service.access import Caller
from service.planning.quote_view import QuoteSummary, quote_summary
from service.planning.transact import read
from service.runtime import Runtime
from service.store import price_books, quote_risks, quotes
from service.store.tables.price_books import PriceBookRow
from service.store.tables.quotes import BEING_WRITTEN, QuoteRow, QuoteState

# How far ahead is looked, unless somebody says so.
DAYS_AHEAD = 14
_LIVE = (*BEING_WRITTEN, QuoteState.ISSUED)
# Looked through in such pieces until a page is full.
_AT_ONCE = 200
_OF_PRICES = "cost"


class RiskKind(StrEnum):
    """Why a quote may not hold."""

    RUN_ANSWERED_ANEW = "run_answered_anew"
    PRICE_BOOK_REPLACED = "price_book_replaced"
    PRICE_BOOK_EXPIRES = "price_book_expires"
    VALIDITY_ENDS = "validity_ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRisk:
    """One reason in words, with the run, the book or the day that it is about."""

    kind: RiskKind
    message: str
    run_id: str | None = None
    price_book_id: str | None = None
    on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteAtRisk:
    """A live quote with every reason why it may not hold."""

    quote: QuoteSummary
    risks: tuple[QuoteRisk, ...]

    @property
    def id(self) -> str:
        """The id of the quote."""
        return self.quote.id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What quotes of a tenant stand on at a moment; `answers` are newer ones by the run that was quoted."""

    now: datetime
    until: date
    books: Mapping[str, PriceBookRow]
    in_force: Mapping[str, PriceBookRow]
    answers: Mapping[str, str]


def list_at_risk(
    runtime: Runtime, caller: Caller, *, within_days: int, before_id: str | None = None, limit: int = 50
) -> tuple[QuoteAtRisk, ...]:
    """The tenant's live quotes that are at risk within so many days, newest first."""
    now = runtime.clock()

    def query(session: Session) -> tuple[QuoteAtRisk, ...]:
        found: list[QuoteAtRisk] = []
        last = before_id
        while len(found) < limit:
            rows = quotes.live(session, caller.tenant_id, states=_LIVE, before_id=last, limit=_AT_ONCE)
            ground = _ground(session, caller, rows, now=now, within_days=within_days)
            found += [
                QuoteAtRisk(quote=quote_summary(row, now=now), risks=risks)
                for row in rows
                if (risks := tuple(_risks(row, ground)))
            ]
            if len(rows) < _AT_ONCE:
                break
            last = rows[-1].id
        return tuple(found[:limit])

    return read(runtime, query)


def risks_of(
    runtime: Runtime, caller: Caller, quote_ids: Collection[str], *, within_days: int = DAYS_AHEAD
) -> Mapping[str, tuple[QuoteRisk, ...]]:
    """Why each of these quotes may not hold, by its id; those that hold, and those that are over, are left out."""
    now = runtime.clock()

    def query(session: Session) -> dict[str, tuple[QuoteRisk, ...]]:
        rows = quotes.live(session, caller.tenant_id, states=_LIVE, only=quote_ids, limit=len(quote_ids))
        ground = _ground(session, caller, rows, now=now, within_days=within_days)
        return {row.id: risks for row in rows if (risks := tuple(_risks(row, ground)))}

    return read(runtime, query) if quote_ids else {}


def _ground(session: Session, caller: Caller, rows: Sequence[QuoteRow], *, now: datetime, within_days: int) -> _Ground:
    """Six statements at most, however many quotes there are."""
    today = now.astimezone(UTC).date()
    named = {row.price_book_id for row in rows if row.price_book_id is not None}
    return _Ground(
        now=now,
        until=today + timedelta(days=within_days),
        books={row.id: row for row in price_books.several(session, caller.tenant_id, named)},
        in_force=price_books.in_force(session, caller.tenant_id, on=today),
        answers=_other_answers(session, caller, {row.run_id for row in rows}),
    )


def _other_answers(session: Session, caller: Caller, run_ids: set[str]) -> dict[str, str]:
    """By run: the newest one of its workload, where that one's options are not the same but for their cost."""
    quoted = quote_risks.digests(session, caller.tenant_id, run_ids)
    newest = {
        run_id: (newest_id, digest)
        for run_id, (newest_id, digest) in quote_risks.newest_answers(session, caller.tenant_id, run_ids).items()
        if newest_id != run_id and digest != quoted[run_id]
    }
    wanted = {digest for _, digest in newest.values()} | {quoted[run_id] for run_id in newest}
    options = {digest: _options(body) for digest, body in quote_risks.bodies(session, caller.tenant_id, wanted).items()}
    return {
        run_id: newest_id
        for run_id, (newest_id, digest) in newest.items()
        if options.get(digest) != options.get(quoted[run_id])
    }


def _options(body: bytes) -> list[Any]:
    return [
        {name: value for name, value in option.items() if name != _OF_PRICES}
        for option in orjson.loads(body)["options"]
    ]


def _risks(row: QuoteRow, ground: _Ground) -> Iterator[QuoteRisk]:
    newer = ground.answers.get(row.run_id)
    if newer is not None:
        message = f"Its workload was sized again by {newer}, with another answer."
        yield QuoteRisk(kind=RiskKind.RUN_ANSWERED_ANEW, message=message, run_id=newer)
    yield from _price_risks(row, ground)
    last = ground.now.astimezone(ZoneInfo(row.time_zone)).date() + (ground.until - ground.now.astimezone(UTC).date())
    if row.valid_until <= last:
        ended = "ended" if row.expires_at <= ground.now else "ends"
        message = f"Its validity {ended} with {row.valid_until} ({row.time_zone})."
        yield QuoteRisk(kind=RiskKind.VALIDITY_ENDS, message=message, on=row.valid_until.isoformat())


def _price_risks(row: QuoteRow, ground: _Ground) -> Iterator[QuoteRisk]:
    book = None if row.price_book_id is None else ground.books.get(row.price_book_id)
    if book is None:
        if ground.in_force:
            pricing = ground.in_force.get(row.currency) or next(iter(ground.in_force.values()))
            message = (
                f"It is priced from the indicative book, and {pricing.name}, version {pricing.version} is in force."
            )
            yield QuoteRisk(kind=RiskKind.PRICE_BOOK_REPLACED, message=message, price_book_id=pricing.id)
        return
    instead = ground.in_force.get(book.currency)
    if instead is not None and instead.id != book.id:
        message = f"{instead.name}, version {instead.version} prices in {book.currency} since {instead.effective_from}."
        yield QuoteRisk(kind=RiskKind.PRICE_BOOK_REPLACED, message=message, price_book_id=instead.id)
    if book.expires_on is not None and book.expires_on <= ground.until:
        message = f"The last day of {book.name}, version {book.version} is {book.expires_on}."
        yield QuoteRisk(
            kind=RiskKind.PRICE_BOOK_EXPIRES, message=message, price_book_id=book.id, on=book.expires_on.isoformat()
        )
