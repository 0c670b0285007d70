"""The next revision of a quote: a draft with the prices of today and the newest answer."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, InvalidRequestError
from service.planning.audit import author_of
from service.planning.idempotency import Once, claimed, taken
from service.planning.quote_counting import Carried
from service.planning.quote_drafting import Identity, compose, named
from service.planning.quote_screening import rescreen
from service.planning.quote_step import expire
from service.planning.quote_view import QuoteView, checked, quote_view
from service.planning.quotes import add_row, all_held, get_quote, new_row
from service.planning.races import until_settled
from service.planning.transact import read, transact
from service.quoting.steps import QuoteStep
from service.runtime import Runtime
from service.schemas.quote_request import QUOTE_REQUEST, QuoteRequest
from service.schemas.quote_revision import RevisionRequest
from service.store import quote_risks, results
from service.store.ids import new_id
from service.store.tables.quotes import BEING_WRITTEN, QuoteRow, QuoteState

log = structlog.get_logger(__name__)

_MAY_BE_REVISED = (QuoteState.ISSUED, QuoteState.EXPIRED, QuoteState.DECLINED, QuoteState.WITHDRAWN)


def revise(
    runtime: Runtime,
    caller: Caller,
    quote_id: str,
    asked: RevisionRequest,
    *,
    version: int | None,
    request_id: str,
    once: Once[QuoteView] | None = None,
) -> QuoteView:
    """A draft of the next revision; the one that is out stays so until the new one is issued in its place.

    Raises NotFoundError, PreconditionFailedError, and ConflictError where the number has a newer revision, or where
    this one was never issued or is accepted.
    """
    old = get_quote(runtime, caller, quote_id)
    now = runtime.clock()
    request = _request(runtime, caller, old, asked)
    parts = {line["id"]: line["part"] for line in orjson.loads(old.snapshot)["lines"]}
    carried = Carried(parts=parts, line_discounts=asked.line_discounts)
    composed = compose(runtime, caller, request, now=now, carried=carried)

    def work(session: Session) -> QuoteView:
        row, others = all_held(session, caller, quote_id, version=version)
        expire(runtime, session, row, now=now, request_id=request_id)
        _check_may_be_revised(row, others)
        identity = Identity(number=row.number, revision=row.revision + 1, created_on=now.date())
        screening = rescreen(runtime, orjson.loads(checked(row)), at="revise", on=now.date())
        made = new_row(
            caller, named(composed, identity), row_id=new_id("quo", now), now=now, screenings=(screening.record,)
        )
        view = quote_view(made, now=now)
        if once is not None and not claimed(
            session, runtime, caller.tenant_id, once, once.answer(view), resource_id=made.id, now=now
        ):
            raise taken(once)
        add_row(runtime, session, made, author=author_of(caller, request_id), action=QuoteStep.REVISED, now=now)
        return view

    view = until_settled(lambda: transact(runtime, work))
    log.info("quote_written", quote_id=view.id, tenant_id=caller.tenant_id, run_id=view.run_id, request_id=request_id)
    return view


def _check_may_be_revised(row: QuoteRow, others: tuple[QuoteRow, ...]) -> None:
    newest = max((row, *others), key=lambda each: each.revision)
    accepted = next((each for each in (row, *others) if each.state == QuoteState.ACCEPTED), None)
    reason = None
    if accepted is not None:
        reason = f"revision {accepted.revision} was accepted; write a new quote"
    elif newest is not row:
        being = "is being written" if newest.state in BEING_WRITTEN else f"is {newest.state}"
        reason = f"its newest revision is {newest.revision} ({newest.id}), which {being}"
    elif row.state not in _MAY_BE_REVISED:
        reason = f"it is {row.state}: change it with PUT"
    if reason is not None:
        raise ConflictError(f"Quote {row.number}, revision {row.revision} cannot be revised: {reason}.")


def _request(runtime: Runtime, caller: Caller, old: QuoteView, asked: RevisionRequest) -> QuoteRequest:
    """What the old revision asked, but of today's book, with the newest answer, and for as long again."""
    before: QuoteRequest = QUOTE_REQUEST.load(orjson.loads(old.request))
    run_id, option = _option(runtime, caller, old, asked)
    validity: dict[str, Any] = {}
    if asked.valid_days is not None or asked.valid_until is not None:
        validity = {"valid_days": asked.valid_days, "valid_until": asked.valid_until}
    elif before.valid_until is not None and old.expires_at <= runtime.clock():
        validity = {"valid_days": None, "valid_until": None}
    discount = before.discount_fraction if asked.discount_fraction is None else asked.discount_fraction
    return dataclasses.replace(
        before,
        run_id=run_id,
        option=option,
        price_book_id=None,
        fx=asked.fx or before.fx,
        discount_fraction=discount,
        **validity,
    )


def _option(runtime: Runtime, caller: Caller, old: QuoteView, asked: RevisionRequest) -> tuple[str, int]:
    """The run and the option: those that are asked for, else the same server in the newest answer to the workload."""

    def query(session: Session) -> tuple[str, Mapping[str, Any] | None]:
        run = quote_risks.newest_answer(session, caller.tenant_id, old.run_id)
        run_id, digest = run if run is not None else (old.run_id, None)
        if digest is None or run_id == old.run_id:
            return old.run_id, None
        body = results.body(session, caller.tenant_id, digest)
        return run_id, None if body is None else orjson.loads(body)

    if asked.run_id is not None:
        return asked.run_id, asked.option or 1
    run_id, answer = read(runtime, query)
    if asked.option is not None:
        return run_id, asked.option
    if answer is None:
        return run_id, old.option
    server = orjson.loads(old.snapshot)["option"]["server"]
    rank = next((option["rank"] for option in answer["options"] if option["server"] == server), None)
    if rank is None:
        raise InvalidRequestError(
            f"Run {run_id} answers the workload anew, and {server} is not among its options; name the option, or the "
            "run, that the revision is to quote."
        )
    return run_id, int(rank)
