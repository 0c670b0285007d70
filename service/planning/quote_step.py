"""A step of a quote: taken over the version that was read, with all revisions of its number held; then noted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, PlannerError
from service.planning.audit import SERVICE, Author, author_of
from service.planning.quote_view import QuoteView, checked, quote_view
from service.planning.quotes import accepted_of, all_held, note, state_in_words
from service.planning.races import OvertakenError, until_settled
from service.planning.transact import transact
from service.quoting.steps import QuoteStep
from service.runtime import Runtime
from service.store import quotes
from service.store.tables.quotes import QuoteRow, QuoteState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """Where a step is taken: the revision and the others of its number, held; the moment, and who takes it."""

    runtime: Runtime
    session: Session
    caller: Caller
    author: Author
    row: QuoteRow
    others: tuple[QuoteRow, ...]
    now: datetime

    @property
    def today(self) -> date:
        """The day where the quote's validity is counted."""
        return self.now.astimezone(ZoneInfo(self.row.time_zone)).date()

    def snapshot(self) -> Mapping[str, Any]:
        """What the revision says; DamagedError where that is not what was written."""
        read: Mapping[str, Any] = orjson.loads(checked(self.row))
        return read

    def move(self, to: QuoteState, action: QuoteStep, **values: Any) -> None:
        """Take the revision to another state, and note it."""
        self.move_other(self.row, to, action, **values)

    def move_other(self, row: QuoteRow, to: QuoteState, action: QuoteStep, **values: Any) -> None:
        """The same with one of the others."""
        move(self.runtime, self.session, row, to, action, author=self.author, now=self.now, **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is done to a quote, and in which states that may be."""

    verb: str
    allowed: tuple[QuoteState, ...]


def take(
    runtime: Runtime,
    caller: Caller,
    quote_id: str,
    step: Step,
    decide: Callable[[At], PlannerError | None],
    *,
    version: int | None,
    request_id: str,
) -> QuoteView:
    """Take the step. What `decide` raises undoes everything; an error that it returns is told after the commit.

    Raises NotFoundError, PreconditionFailedError for another version, ConflictError where the state does not allow it.
    """

    def work(session: Session) -> tuple[QuoteView, PlannerError | None]:
        row, others = all_held(session, caller, quote_id, version=version)
        now = runtime.clock()
        ended = expire(runtime, session, row, now=now, request_id=request_id)
        if row.state not in step.allowed:
            refused = ConflictError(_refusal(row, others, step))
            if ended:
                return quote_view(row, now=now, accepted=accepted_of(others)), refused
            raise refused
        at = At(
            runtime=runtime,
            session=session,
            caller=caller,
            author=author_of(caller, request_id),
            row=row,
            others=others,
            now=now,
        )
        error = decide(at)
        return quote_view(row, now=now, accepted=accepted_of(others)), error

    view, error = until_settled(lambda: transact(runtime, work))
    log.info("quote_step", quote_id=quote_id, tenant_id=caller.tenant_id, status=view.state, request_id=request_id)
    if error is not None:
        raise error
    return view


def move(
    runtime: Runtime,
    session: Session,
    row: QuoteRow,
    to: QuoteState,
    action: QuoteStep,
    *,
    author: Author,
    now: datetime,
    **values: Any,
) -> None:
    """Write a new state over the row that is held, and note it; OvertakenError where it is no longer so."""
    old = state_in_words(row)
    if not quotes.change(session, row, now=now, state=to.value, **values):
        raise OvertakenError
    note(runtime, session, row, action, author=author, old=old, at=now)


def expire(runtime: Runtime, session: Session, row: QuoteRow, *, now: datetime, request_id: str) -> bool:
    """End an issued quote whose validity has ended; True when it was ended here and now."""
    if row.state != QuoteState.ISSUED or row.expires_at > now:
        return False
    author = Author(principal=SERVICE, key_id=None, request_id=request_id)
    reason = f"Its validity ended with {row.valid_until} ({row.time_zone})."
    move(
        runtime,
        session,
        row,
        QuoteState.EXPIRED,
        QuoteStep.EXPIRED,
        author=author,
        now=now,
        reason=reason,
        closed_at=row.expires_at,
        closed_by=SERVICE,
    )
    return True


def _refusal(row: QuoteRow, others: tuple[QuoteRow, ...], step: Step) -> str:
    words = f"Quote {row.number}, revision {row.revision} is {row.state}; "
    if row.state == QuoteState.SUPERSEDED:
        live = next((each for each in reversed(others) if each.revision > row.revision and each.issued_at), None)
        words += "" if live is None else f"revision {live.revision} ({live.id}) was issued in its place; "
    elif row.state == QuoteState.EXPIRED:
        words += f"its validity ended with {row.valid_until} ({row.time_zone}), revise makes its next revision; "
    return words + f"only one that is {' or '.join(step.allowed)} can be {step.verb}."
