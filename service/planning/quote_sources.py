"""What a quote is made from: a done run's option, what was asked of it, and the book that prices on a day."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, FieldError, InvalidRequestError, NotFoundError
from service.planning.finished import without_answer
from service.planning.view import RunView, run_view
from service.quoting.book import Book, ListPrice, installation_book
from service.quoting.prices import PartKind, PriceBook
from service.quoting.quote import BookInForce, spelled_book
from service.schemas.quote_request import QuoteRequest
from service.schemas.quoted_option import quoted_option
from service.schemas.result import AssumedSchema
from service.schemas.workload import QUESTION
from service.sizing.result import Assumed, SizingOption
from service.sizing.workload import Question
from service.store import price_books, results, runs, tenants, workloads
from service.store.tables.price_books import PriceBookRow
from service.store.tables.runs import RunStatus

_ASSUMED = AssumedSchema(many=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """The option of a done run, with the question that it answers."""

    run: RunView
    workload_name: str | None
    question: Question
    option: SizingOption
    assumed: tuple[Assumed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything stored that a quote is made from; `in_force` is a book that prices instead of the one named."""

    sized: Sized
    book: Book
    in_force: BookInForce | None
    tenant: str


def sources(session: Session, caller: Caller, request: QuoteRequest, *, on: date, installation: PriceBook) -> Sources:
    """Read it: as many statements however long the book is.

    Raises NotFoundError for a run or a book that the caller's tenant does not have, ConflictError for a run without an
    answer or in which nothing fits, InvalidRequestError for an option that there is not or a book that does not price.
    """
    in_force = price_books.in_force(session, caller.tenant_id, on=on)
    book = _book(session, caller, request, in_force, on=on, installation=installation)
    tenant = tenants.get(session, caller.tenant_id)
    return Sources(
        sized=_sized(session, caller, request),
        book=book,
        in_force=replacement(in_force, book.id, book.currency),
        tenant=caller.tenant_id if tenant is None else tenant.name,
    )


def replacement(in_force: Mapping[str, PriceBookRow], book_id: str | None, currency: str) -> BookInForce | None:
    """The book that prices in that currency, where it is another one than that of a tenant's quote."""
    row = in_force.get(currency)
    if row is None or book_id is None or row.id == book_id:
        return None
    return BookInForce(name=spelled_book(row.name, row.version), since=str(row.effective_from))


def _sized(session: Session, caller: Caller, request: QuoteRequest) -> Sized:
    row = runs.get(session, caller.tenant_id, request.run_id)
    if row is None:
        raise NotFoundError(f"There is no run {request.run_id[:64]!r}.")
    body = results.body(session, caller.tenant_id, row.digest) if row.status == RunStatus.DONE else None
    run = run_view(row, result=body)
    if body is None:
        raise without_answer(run)
    answer = orjson.loads(body)
    if not run.feasible:
        raise ConflictError(
            f"In run {run.id} nothing fits, so there is nothing to quote; its shortfall says what would."
        )
    workload = workloads.get(session, caller.tenant_id, run.workload_id)
    return Sized(
        run=run,
        workload_name=None if workload is None else workload.name,
        question=QUESTION.load(orjson.loads(run.question)),
        option=_option(answer["options"], request.option),
        assumed=tuple(_ASSUMED.load(answer["assumed"])),
    )


def _option(options: list[Mapping[str, Any]], rank: int) -> SizingOption:
    for raw in options:
        if raw["rank"] == rank:
            return quoted_option(raw)
    limit = f"1 to {len(options)}"
    error = FieldError(field="option", message=f"The run's options are ranked {limit}.", value=str(rank), limit=limit)
    raise InvalidRequestError(f"option: {error.message}", errors=(error,))


def _book(
    session: Session,
    caller: Caller,
    request: QuoteRequest,
    in_force: Mapping[str, PriceBookRow],
    *,
    on: date,
    installation: PriceBook,
) -> Book:
    """The book that is named; else the one in force in the quote's currency; else the one that came into force last."""
    if request.price_book_id is not None:
        row = price_books.get(session, caller.tenant_id, request.price_book_id)
        if row is None:
            raise NotFoundError(f"There is no price book {request.price_book_id[:64]!r}.")
        _check_prices(row, on=on)
    elif not in_force:
        return installation_book(installation)
    else:
        row = in_force.get(request.currency) or max(in_force.values(), key=_came_into_force)
    return book_of(row, price_books.line_columns(session, caller.tenant_id, row.id))


def _came_into_force(row: PriceBookRow) -> tuple[Any, ...]:
    return row.effective_from, row.activated_at, row.id


def _check_prices(row: PriceBookRow, *, on: date) -> None:
    if row.effective_from is None or row.effective_from > on:
        since = "it was never activated" if row.effective_from is None else f"it is in force from {row.effective_from}"
        message = f"Prices nothing today: {since}."
    elif row.expires_on is not None and row.expires_on < on:
        message = f"Prices nothing any more: its last day was {row.expires_on}."
    else:
        return
    error = FieldError(field="price_book_id", message=message, value=row.id)
    raise InvalidRequestError(f"price_book_id: {message}", errors=(error,))


def book_of(row: PriceBookRow, lines: Iterable[Any]) -> Book:
    """A stored book as quotes are priced from it."""
    return Book(
        id=row.id,
        name=row.name,
        date=row.dated.isoformat(),
        version=row.version,
        currency=row.currency,
        indicative=row.indicative,
        digest=row.digest,
        lines={line.part: _list_price(line) for line in lines},
        expires=None if row.expires_on is None else row.expires_on.isoformat(),
    )


def _list_price(line: Any) -> ListPrice:
    return ListPrice(**{**line._mapping, "kind": PartKind(line.kind)})  # noqa: SLF001 - how SQLAlchemy publishes it
