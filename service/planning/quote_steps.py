"""The life of a quote: submitted, approved or rejected, issued, accepted, declined, withdrawn."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import orjson

from service.access import Caller
from service.errors import ConflictError, ForbiddenError, PlannerError
from service.planning.quote_drafting import sha256_of
from service.planning.quote_screening import rescreen
from service.planning.quote_sources import replacement
from service.planning.quote_step import At, Step, expire, take
from service.planning.quote_view import QuoteView, overtaken
from service.planning.quotes import NO_APPROVAL, accepted_of
from service.quoting.quote import spelled_book
from service.quoting.steps import QuoteStep
from service.runtime import Runtime
from service.schemas.digest import canonical_json
from service.store import price_books
from service.store.tables.quotes import BEING_WRITTEN, QuoteState

_SUBMIT = Step(verb="submitted", allowed=(QuoteState.DRAFT,))
_APPROVE = Step(verb="approved", allowed=(QuoteState.PENDING_APPROVAL,))
_REJECT = Step(verb="rejected", allowed=(QuoteState.PENDING_APPROVAL,))
_ISSUE = Step(verb="issued", allowed=(QuoteState.APPROVED,))
_ACCEPT = Step(verb="accepted", allowed=(QuoteState.ISSUED,))
_DECLINE = Step(verb="declined", allowed=(QuoteState.ISSUED,))
_WITHDRAW = Step(verb="withdrawn", allowed=(*BEING_WRITTEN, QuoteState.ISSUED))


def submit(runtime: Runtime, caller: Caller, quote_id: str, *, version: int | None, request_id: str) -> QuoteView:
    """Ask for approval of a draft; where its tier needs none, it is approved at once, by nobody."""

    def decide(at: At) -> None:
        at.snapshot()
        _check_not_overtaken(at)
        if at.row.approval["needs"] is not None:
            at.move(QuoteState.PENDING_APPROVAL, QuoteStep.SUBMITTED, reason=None)
            return
        values = {"approved_sha256": at.row.sha256, "approved_at": at.now, "approved_by": None, "reason": None}
        at.move(QuoteState.APPROVED, QuoteStep.SUBMITTED, **values)

    return take(runtime, caller, quote_id, _SUBMIT, decide, version=version, request_id=request_id)


def approve(runtime: Runtime, caller: Caller, quote_id: str, *, version: int | None, request_id: str) -> QuoteView:
    """Approve what the quote says, by its hash; ForbiddenError for a role that may not, and for who wrote any of it."""

    def decide(at: At) -> None:
        _check_may_approve(at)
        _check_not_overtaken(at)
        at.snapshot()
        values = {"approved_sha256": at.row.sha256, "approved_at": at.now, "approved_by": caller.principal}
        at.move(QuoteState.APPROVED, QuoteStep.APPROVED, **values, reason=None)

    return take(runtime, caller, quote_id, _APPROVE, decide, version=version, request_id=request_id)


def reject(
    runtime: Runtime, caller: Caller, quote_id: str, *, reason: str, version: int | None, request_id: str
) -> QuoteView:
    """Send a quote that waits for approval back to be written, with the reason."""

    def decide(at: At) -> None:
        at.move(QuoteState.DRAFT, QuoteStep.REJECTED, **NO_APPROVAL, reason=reason)

    return take(runtime, caller, quote_id, _REJECT, decide, version=version, request_id=request_id)


def issue(runtime: Runtime, caller: Caller, quote_id: str, *, version: int | None, request_id: str) -> QuoteView:
    """Freeze what was approved and send it out; the revision that is out is superseded in the same moment.

    Screened again: where other rules match than were approved, the quote goes back to draft with that reason.
    """

    def decide(at: At) -> PlannerError | None:
        snapshot = at.snapshot()
        _check_not_overtaken(at)
        _check_can_be_issued(at, snapshot)
        _check_prices_stand(at, snapshot)
        screening = rescreen(runtime, snapshot, at="issue", on=at.today)
        screenings = [*at.row.screenings, screening.record]
        if screening.changed is not None:
            reason = f"Other export rules match than those that were approved: {screening.changed}."
            at.move(QuoteState.DRAFT, QuoteStep.RETURNED, **NO_APPROVAL, reason=reason, screenings=screenings)
            return ConflictError(f"{reason} The quote is a draft again: write it anew and submit it.")
        _supersede_others(at)
        issued = canonical_json({**snapshot, "issued_on": at.today.isoformat()})
        values = {"snapshot": issued.decode(), "sha256": sha256_of(issued), "screenings": screenings}
        at.move(
            QuoteState.ISSUED, QuoteStep.ISSUED, **values, issued_by=caller.principal, issued_at=at.now, reason=None
        )
        return None

    return take(runtime, caller, quote_id, _ISSUE, decide, version=version, request_id=request_id)


def accept(
    runtime: Runtime,
    caller: Caller,
    quote_id: str,
    *,
    acceptance: Mapping[str, Any],
    version: int | None,
    request_id: str,
) -> QuoteView:
    """Note that the customer has accepted, while the quote is valid and no newer revision is out.

    Screened again: where other rules match than when it was issued, it stays issued and ConflictError says why.
    """

    def decide(at: At) -> None:
        screening = rescreen(runtime, at.snapshot(), at="accept", on=at.today)
        if screening.changed is not None:
            raise ConflictError(
                f"Other export rules match than when quote {at.row.number}, revision {at.row.revision} was issued: "
                f"{screening.changed}. Revise it, so that its next revision says so."
            )
        values = {"acceptance": dict(acceptance), "screenings": [*at.row.screenings, screening.record]}
        _close(at, QuoteState.ACCEPTED, QuoteStep.ACCEPTED, reason=None, **values)

    return take(runtime, caller, quote_id, _ACCEPT, decide, version=version, request_id=request_id)


def decline(
    runtime: Runtime, caller: Caller, quote_id: str, *, reason: str, version: int | None, request_id: str
) -> QuoteView:
    """Note that the customer has declined."""

    def decide(at: At) -> None:
        _close(at, QuoteState.DECLINED, QuoteStep.DECLINED, reason=reason)

    return take(runtime, caller, quote_id, _DECLINE, decide, version=version, request_id=request_id)


def withdraw(
    runtime: Runtime, caller: Caller, quote_id: str, *, reason: str, version: int | None, request_id: str
) -> QuoteView:
    """Take the quote back, at any time before it is accepted."""

    def decide(at: At) -> None:
        _close(at, QuoteState.WITHDRAWN, QuoteStep.WITHDRAWN, reason=reason)

    return take(runtime, caller, quote_id, _WITHDRAW, decide, version=version, request_id=request_id)


def _close(at: At, to: QuoteState, action: QuoteStep, **values: Any) -> None:
    at.move(to, action, closed_at=at.now, closed_by=at.author.principal, **values)


def _check_may_approve(at: At) -> None:
    approvers = at.row.approval["approvers"]
    if at.caller.role.value not in approvers:
        raise ForbiddenError(
            f"A quote of tier {at.row.approval['tier']} is approved by a key of role {' or '.join(approvers)}; yours "
            f"is {at.caller.role}."
        )
    authors = {name for row in (at.row, *at.others) for name in row.authors}
    if at.caller.principal in authors:
        raise ForbiddenError(
            f"{at.caller.principal} wrote a part of quote {at.row.number}; whoever approves it must have written none "
            "of its revisions."
        )


def _check_not_overtaken(at: At) -> None:
    """Nobody is led on to the end of a road: what was accepted stays the one that holds."""
    reason = overtaken(at.row, accepted_of(at.others))
    if reason is not None:
        raise ConflictError(f"Quote {at.row.number}, revision {at.row.revision} can no longer be issued: {reason}.")


def _check_can_be_issued(at: At, snapshot: Mapping[str, Any]) -> None:
    row, book = at.row, snapshot["price_book"]
    reason = None
    if row.indicative:
        reason = f"its prices are INDICATIVE, from {book['name']}; activate a price book of yours and write it anew"
    elif not row.complete:
        reason = f"these parts have no price: {', '.join(snapshot['missing'])}; a price book that has them completes it"
    elif row.expires_at <= at.now:
        reason = f"its validity ended with {row.valid_until} ({row.time_zone}); write it anew with a later day"
    elif book["expires"] is not None and book["expires"] < at.today.isoformat():
        reason = f"the last day of its price book {book['name']} was {book['expires']}; write it anew"
    if reason is not None:
        raise ConflictError(f"Quote {row.number}, revision {row.revision} cannot be issued: {reason}.")


def _check_prices_stand(at: At, snapshot: Mapping[str, Any]) -> None:
    """Nobody issues replaced prices without saying so: by naming their book, which the quote then tells."""
    if orjson.loads(at.row.request)["price_book_id"] is not None:
        return
    in_force = price_books.in_force(at.session, at.row.tenant_id, on=at.now.astimezone(UTC).date())
    instead = replacement(in_force, at.row.price_book_id, snapshot["price_book"]["currency"])
    if instead is not None:
        book = spelled_book(snapshot["price_book"]["name"], snapshot["price_book"]["version"])
        raise ConflictError(
            f"Quote {at.row.number}, revision {at.row.revision} cannot be issued: {book} was replaced by "
            f"{instead.name}, in force since {instead.since}. Write it anew for those prices; or with price_book_id "
            f"{at.row.price_book_id}, to keep its own and say so."
        )


def _supersede_others(at: At) -> None:
    for other in at.others:
        if other.state == QuoteState.ISSUED and not expire(
            at.runtime, at.session, other, now=at.now, request_id=at.author.request_id
        ):
            at.move_other(
                other,
                QuoteState.SUPERSEDED,
                QuoteStep.SUPERSEDED,
                closed_at=at.now,
                closed_by=at.author.principal,
                reason=f"Revision {at.row.revision} was issued.",
            )
