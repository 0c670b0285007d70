"""Quotes: written, read, and changed over the version that was read; a change takes an approval back."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, NotFoundError, PreconditionFailedError
from service.planning.audit import Author, Change, author_of, record
from service.planning.heard import quote_noted
from service.planning.idempotency import Once, claimed, taken
from service.planning.quote_drafting import Identity, WrittenQuote, compose, named
from service.planning.quote_view import QuoteSummary, QuoteView, quote_summary, quote_view
from service.planning.races import OvertakenError, until_settled
from service.planning.transact import read, transact
from service.quoting.quote import quote_number
from service.quoting.steps import QuoteStep
from service.runtime import Runtime
from service.schemas.quote_request import QuoteRequest
from service.store import price_books, quotes
from service.store.filters import QuoteFilter
from service.store.ids import new_id
from service.store.tables.quotes import BEING_WRITTEN, QuoteRow, QuoteState

log = structlog.get_logger(__name__)

NO_APPROVAL: dict[str, Any] = {"approved_sha256": None, "approved_by": None, "approved_at": None}


def create(
    runtime: Runtime, caller: Caller, request: QuoteRequest, *, request_id: str, once: Once[QuoteView] | None = None
) -> QuoteView:
    """A draft under a new number.

    With `once` only where its key is new, else KeyInProgressError, and nothing is written.
    """
    now = runtime.clock()
    composed = compose(runtime, caller, request, now=now)
    written = named(composed, _new_identity(runtime, caller, now=now))
    row_id = new_id("quo", now)

    def work(session: Session) -> QuoteView:
        row = new_row(caller, written, row_id=row_id, now=now)
        view = quote_view(row, now=now)
        if once is not None and not claimed(
            session, runtime, caller.tenant_id, once, once.answer(view), resource_id=row.id, now=now
        ):
            raise taken(once)
        add_row(runtime, session, row, author=author_of(caller, request_id), action=QuoteStep.CREATED, now=now)
        return view

    view = transact(runtime, work)
    log.info("quote_written", quote_id=view.id, tenant_id=caller.tenant_id, run_id=view.run_id, request_id=request_id)
    return view


def rewrite(
    runtime: Runtime, caller: Caller, quote_id: str, request: QuoteRequest, *, version: int | None, request_id: str
) -> QuoteView:
    """Write a draft anew over `version` (None: whatever is there), with the prices of today.

    A quote that waits for approval or has it goes back to draft, unless what it says is not changed by a byte.
    Raises NotFoundError, PreconditionFailedError, and ConflictError for a revision that is written no more.
    """
    before = get_quote(runtime, caller, quote_id)
    _check_writable(before.state, before.number, before.revision)
    now = runtime.clock()
    identity = Identity(
        number=before.number, revision=before.revision, created_on=before.created_at.astimezone(UTC).date()
    )
    written = named(compose(runtime, caller, request, now=now), identity)

    def work(session: Session) -> QuoteView:
        row, others = all_held(session, caller, quote_id, version=version)
        accepted = accepted_of(others)
        _check_writable(QuoteState(row.state), row.number, row.revision)
        if (row.sha256, row.request) == (written.sha256, written.request):
            return quote_view(row, now=now, accepted=accepted)
        old = state_in_words(row)
        values = {**_content(written), **NO_APPROVAL, "state": QuoteState.DRAFT.value, "reason": None}
        authors = [*row.authors, *([] if caller.principal in row.authors else [caller.principal])]
        if not quotes.change(session, row, now=now, **values, authors=authors):
            raise OvertakenError
        use_book(session, row, now=now)
        note(runtime, session, row, QuoteStep.CHANGED, author=author_of(caller, request_id), old=old, at=now)
        return quote_view(row, now=now, accepted=accepted)

    return until_settled(lambda: transact(runtime, work))


def get_quote(runtime: Runtime, caller: Caller, quote_id: str) -> QuoteView:
    """The revision, held against its hash; NotFoundError when the caller's tenant has none of that id."""

    def query(session: Session) -> tuple[QuoteRow, QuoteRow | None]:
        row = quotes.get(session, caller.tenant_id, quote_id)
        if row is None:
            raise no_quote(quote_id)
        being_written = row.state in BEING_WRITTEN
        return row, quotes.accepted(session, caller.tenant_id, row.number) if being_written else None

    row, accepted = read(runtime, query)
    return quote_view(row, now=runtime.clock(), accepted=accepted)


def list_quotes(
    runtime: Runtime, caller: Caller, *, only: QuoteFilter, before_id: str | None = None, limit: int = 50
) -> tuple[QuoteSummary, ...]:
    """The tenant's revisions, newest first; `before_id` is the last id of the page before."""
    now = runtime.clock()
    rows = read(
        runtime,
        lambda session: quotes.newest(session, caller.tenant_id, only=only, now=now, before_id=before_id, limit=limit),
    )
    return tuple(quote_summary(row, now=now) for row in rows)


def list_revisions(
    runtime: Runtime, caller: Caller, quote_id: str, *, before: int | None = None, limit: int = 50
) -> tuple[QuoteSummary, ...]:
    """The revisions of the number of that quote, newest first; `before` is the last revision of the page before."""
    now = runtime.clock()

    def query(session: Session) -> tuple[QuoteSummary, ...]:
        row = quotes.get(session, caller.tenant_id, quote_id)
        if row is None:
            raise no_quote(quote_id)
        rows = quotes.revisions(session, caller.tenant_id, row.number, before=before, limit=limit)
        return tuple(quote_summary(each, now=now) for each in rows)

    return read(runtime, query)


def held(session: Session, caller: Caller, quote_id: str, *, version: int | None) -> QuoteRow:
    """The revision as it is now, with all others of its number locked too, so that steps are taken one by one."""
    return all_held(session, caller, quote_id, version=version)[0]


def all_held(
    session: Session, caller: Caller, quote_id: str, *, version: int | None
) -> tuple[QuoteRow, tuple[QuoteRow, ...]]:
    """The same with the others, oldest first. Raises NotFoundError, and PreconditionFailedError for another version."""
    rows = quotes.hold_number(session, caller.tenant_id, quote_id)
    row = next((each for each in rows if each.id == quote_id), None)
    if row is None:
        raise no_quote(quote_id)
    if version is not None and row.version != version:
        raise PreconditionFailedError(f"Quote {row.id} is at version {row.version} by now; read it again.")
    return row, tuple(each for each in rows if each.id != quote_id)


def accepted_of(rows: Iterable[QuoteRow]) -> QuoteRow | None:
    """The one of them that was accepted."""
    return next((row for row in rows if row.state == QuoteState.ACCEPTED), None)


def new_row(
    caller: Caller, written: WrittenQuote, *, row_id: str, now: datetime, screenings: tuple[Any, ...] = ()
) -> QuoteRow:
    """The row of a new draft."""
    return QuoteRow(
        id=row_id,
        tenant_id=caller.tenant_id,
        number=written.document.number,
        revision=written.document.revision,
        state=QuoteState.DRAFT.value,
        version=1,
        authors=[caller.principal],
        screenings=list(screenings),
        created_at=now,
        changed_at=now,
        **_content(written),
    )


def add_row(
    runtime: Runtime, session: Session, row: QuoteRow, *, author: Author, action: QuoteStep, now: datetime
) -> None:
    """Store a new draft, note it, and let nobody change the book that it is priced from any more."""
    quotes.add(session, row)
    use_book(session, row, now=now)
    note(runtime, session, row, action, author=author, old=None, at=now)


def use_book(session: Session, row: QuoteRow, *, now: datetime) -> None:
    """From now on nothing about the book changes; ConflictError where it was put off while it was being priced from."""
    if row.price_book_id is None:
        return
    today = now.astimezone(UTC).date()
    if not price_books.mark_used(session, row.tenant_id, row.price_book_id, on=today, now=now):
        raise ConflictError(f"Price book {row.price_book_id} was activated for a later day meanwhile; send it again.")


def note(
    runtime: Runtime,
    session: Session,
    row: QuoteRow,
    action: QuoteStep,
    *,
    author: Author,
    old: str | None,
    at: datetime,
) -> None:
    """Write the change down beside it, and tell whoever listens."""
    change = Change(
        at=at,
        action=action,
        tenant_id=row.tenant_id,
        resource_id=row.id,
        old_state=old,
        new_state=state_in_words(row),
    )
    record(session, (author, change))
    quote_noted(runtime, session, row, action, at=at)


def state_in_words(row: QuoteRow) -> str:
    """The state for the audit: what it is called, what it has become, and the version."""
    return f"{row.number} revision {row.revision}: {row.state}, version {row.version}"


def no_quote(quote_id: str) -> NotFoundError:
    """What is said of an id that the tenant has no quote of."""
    return NotFoundError(f"There is no quote {quote_id[:64]!r}.")


def _content(written: WrittenQuote) -> dict[str, Any]:
    """What the row says of what is written, in columns."""
    document, needed = written.document, written.approval
    return {
        "run_id": document.run.id,
        "option": document.option.rank,
        "customer": document.customer.name,
        "currency": document.currency,
        "total": document.totals.total,
        "complete": document.complete,
        "indicative": document.price_book.indicative,
        "price_book_id": document.price_book.id,
        "price_book_digest": document.price_book.digest,
        "valid_until": datetime.fromisoformat(document.valid_until).date(),
        "time_zone": document.time_zone,
        "expires_at": written.expires_at,
        "request": written.request,
        "snapshot": written.snapshot.decode(),
        "sha256": written.sha256,
        "approval": {
            "tier": needed.tier,
            "needs": None if needed.needs is None else needed.needs.value,
            "approvers": [role.value for role in needed.approvers],
            "why": needed.why,
        },
    }


def _new_identity(runtime: Runtime, caller: Caller, *, now: datetime) -> Identity:
    """A number of its own transaction: whatever becomes of the quote, nobody gets it again."""
    today = now.astimezone(UTC).date()
    sequence = transact(runtime, lambda session: quotes.next_number(session, caller.tenant_id, today.year))
    return Identity(number=quote_number(today.year, sequence), revision=1, created_on=today)


def _check_writable(state: QuoteState, number: str, revision: int) -> None:
    if state not in BEING_WRITTEN:
        raise ConflictError(
            f"Quote {number}, revision {revision} is {state} and says what it says; revise makes its next revision."
        )
