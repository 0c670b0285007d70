"""Price books of tenants: uploaded whole, put in force from a day on, and from their first use on never changed."""

from datetime import UTC, date, datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, FieldError, InvalidRequestError, NotFoundError, PreconditionFailedError
from service.planning.audit import Action, Change, author_of, record
from service.planning.idempotency import Once, claimed, taken
from service.planning.price_book_check import check_lines, parts_asked_for, warnings_of
from service.planning.price_book_view import PriceBookView, price_book_view, state_of
from service.planning.races import OvertakenError, until_settled
from service.planning.transact import read, transact
from service.runtime import Runtime
from service.schemas.digest import sha256_digest
from service.schemas.price_books import PriceBookRequest
from service.store import price_books
from service.store.filters import PriceBookFilter
from service.store.ids import new_id
from service.store.tables.price_books import PriceBookRow

log = structlog.get_logger(__name__)


def upload(
    runtime: Runtime,
    caller: Caller,
    request: PriceBookRequest,
    *,
    request_id: str,
    once: Once[PriceBookView] | None = None,
) -> PriceBookView:
    """The next version of the book of that name, in force from no day yet; InvalidRequestError names each wrong line.

    With `once` only where its key is new, else KeyInProgressError, and nothing is written.
    """
    now = runtime.clock()
    known = parts_asked_for(runtime)
    check_lines(request.lines, known)
    warnings = warnings_of(((line.part, line.row) for line in request.lines), known)
    lines = [{"place": place, **_columns(line)} for place, line in enumerate(request.lines)]
    values = _columns_of_book(caller, request, now=now)

    def work(session: Session) -> PriceBookView:
        version = price_books.next_version(session, caller.tenant_id, request.name)
        row = PriceBookRow(**values, version=version)
        view = price_book_view(row, state=state_of(row, on=_today(now), in_force={}), warnings=warnings)
        if once is not None and not claimed(
            session, runtime, caller.tenant_id, once, once.answer(view), resource_id=row.id, now=now
        ):
            raise taken(once)
        price_books.add(session, row, lines)
        made = _change(Action.PRICE_BOOK_CREATED, row, None, f"version {row.version}, {row.line_count} lines", at=now)
        record(session, (author_of(caller, request_id), made))
        return view

    view = until_settled(lambda: transact(runtime, work))
    log.info("price_book_uploaded", price_book_id=view.id, tenant_id=caller.tenant_id, digest=view.digest)
    return view


def activate(
    runtime: Runtime, caller: Caller, book_id: str, *, effective_from: str, changes: int | None, request_id: str
) -> PriceBookView:
    """Put the book in force from a day on, today or later; the same day again changes nothing.

    `changes` is what was read of it (None: whatever is there). Raises NotFoundError, PreconditionFailedError,
    ConflictError for a book that a quote was priced from, InvalidRequestError for a day that it cannot begin on.
    """
    day = date.fromisoformat(effective_from)
    now = runtime.clock()

    def work(session: Session) -> PriceBookRow:
        row = _found(session, caller, book_id)
        if row.effective_from == day:
            return row
        if changes is not None and row.changes != changes:
            raise PreconditionFailedError(f"Price book {row.id} was activated otherwise meanwhile; read it again.")
        _check_day(row, day, today=_today(now))
        before = row.effective_from
        if not price_books.activate(session, row, effective_from=day, now=now):
            raise OvertakenError
        changed = _change(Action.PRICE_BOOK_ACTIVATED, row, _in_force(before), _in_force(day) or "", at=now)
        record(session, (author_of(caller, request_id), changed))
        return row

    until_settled(lambda: transact(runtime, work))
    log.info("price_book_activated", price_book_id=book_id, tenant_id=caller.tenant_id)
    return get_price_book(runtime, caller, book_id)


def get_price_book(runtime: Runtime, caller: Caller, book_id: str) -> PriceBookView:
    """The book with its lines; NotFoundError when the caller's tenant has no such book."""
    today, known = _today(runtime.clock()), parts_asked_for(runtime)

    def query(session: Session) -> PriceBookView:
        row = _found(session, caller, book_id)
        in_force = price_books.in_force(session, caller.tenant_id, on=today)
        lines = tuple(price_books.lines(session, caller.tenant_id, book_id))
        warnings = warnings_of(((line.part, None) for line in lines), known)
        return price_book_view(row, state=state_of(row, on=today, in_force=in_force), lines=lines, warnings=warnings)

    return read(runtime, query)


def list_price_books(
    runtime: Runtime, caller: Caller, *, only: PriceBookFilter, before_id: str | None = None, limit: int = 50
) -> tuple[PriceBookView, ...]:
    """The tenant's books without their lines, newest first; `before_id` is the last id of the page before."""
    today = _today(runtime.clock())

    def query(session: Session) -> tuple[PriceBookView, ...]:
        in_force = price_books.in_force(session, caller.tenant_id, on=today)
        rows = price_books.newest(session, caller.tenant_id, only=only, before_id=before_id, limit=limit)
        return tuple(price_book_view(row, state=state_of(row, on=today, in_force=in_force)) for row in rows)

    return read(runtime, query)


def _check_day(row: PriceBookRow, day: date, *, today: date) -> None:
    if row.used_at is not None:
        raise ConflictError(
            f"A quote was priced from price book {row.id}, in force from {row.effective_from}: nothing about it "
            "changes any more. Upload its next version and activate that."
        )
    last = row.expires_on or date.max
    if not today <= day <= last:
        limit = f"from {today} on" if row.expires_on is None else f"from {today} to {last}, its last day"
        message = f"Must be a day {limit}."
        if last < today:
            message = f"The book has expired on {last}; upload its next version."
        error = FieldError(field="effective_from", message=message, value=day.isoformat(), limit=limit)
        raise InvalidRequestError(f"effective_from: {message}", errors=(error,))


def _columns_of_book(caller: Caller, request: PriceBookRequest, *, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id("pbk", now),
        "tenant_id": caller.tenant_id,
        "name": request.name,
        "dated": date.fromisoformat(request.date),
        "currency": request.currency,
        "indicative": request.indicative,
        "note": request.note,
        "digest": _digest(request),
        "line_count": len(request.lines),
        "priced_count": sum(line.list_price is not None for line in request.lines),
        "expires_on": None if request.expires_on is None else date.fromisoformat(request.expires_on),
        "changes": 0,
        "principal": caller.principal,
        "created_at": now,
    }


def _columns(line: Any) -> dict[str, Any]:
    return {name: getattr(line, name) for name in price_books.LINE} | {"kind": line.kind.value}


def _digest(request: PriceBookRequest) -> str:
    """SHA-256 of what prices a quote; the order of the lines is nothing."""
    lines = sorted((_columns(line) for line in request.lines), key=lambda line: str(line["part"]))
    head = {name: getattr(request, name) for name in ("name", "date", "currency", "indicative", "expires_on")}
    return sha256_digest({**head, "lines": lines})


def _found(session: Session, caller: Caller, book_id: str) -> PriceBookRow:
    row = price_books.get(session, caller.tenant_id, book_id)
    if row is None:
        raise NotFoundError(f"There is no price book {book_id[:64]!r}.")
    return row


def _today(now: datetime) -> date:
    return now.astimezone(UTC).date()


def _in_force(day: date | None) -> str | None:
    return None if day is None else f"in force from {day}"


def _change(action: Action, row: PriceBookRow, old: str | None, new: str, *, at: datetime) -> Change:
    return Change(at=at, action=action, tenant_id=row.tenant_id, resource_id=row.id, old_state=old, new_state=new)
