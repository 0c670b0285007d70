"""/quotes: taken through their life, shown as they are, told apart."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.documents.view import page_view
from service.edge.context import caller, request_id, runtime
from service.edge.pages import POLICY, PageBlueprint
from service.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
)
from service.planning import quote_steps
from service.planning.quote_difference import quote_difference
from service.planning.quote_documents import Form as FileForm
from service.planning.quote_documents import document
from service.planning.quote_revise import revise
from service.planning.quote_risk import DAYS_AHEAD, QuoteRisk, list_at_risk, risks_of
from service.planning.quote_view import QuoteSummary, QuoteView
from service.planning.quotes import get_quote, list_quotes, list_revisions
from service.schemas.quote_revision import RevisionRequestSchema
from service.store.filters import QuoteFilter
from service.store.tables.quotes import QuoteState
from service.web.charts.ownership import ownership_chart
from service.web.quote_steps import STEPS, Step, steps_of
from service.web.quote_words import checks
from service.web.quote_writing import number_of
from service.web.rendering import page

blueprint = PageBlueprint("quotes", __name__, permission=Permission.QUOTES)

_PER_PAGE = 30
_REVISION = RevisionRequestSchema()
_MEDIA_TYPES = {
    FileForm.PDF: "application/pdf",
    FileForm.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileForm.CSV: "text/csv",
}
# The page of the quote shows its PDF in a frame, and there what stands for it while it is made.
_WAITS_IN_A_FRAME = POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
_IN_A_FRAME = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
# What the list of those at risk is asked for with.
_ASKED_AT_RISK = ("state", "at_risk")
# A page of quotes, and why those that may not hold may not, by id.
_Listed = tuple[tuple[QuoteSummary, ...], Mapping[str, tuple[QuoteRisk, ...]]]
_WRITABLE = (QuoteState.DRAFT, QuoteState.PENDING_APPROVAL, QuoteState.APPROVED)


@blueprint.get("/quotes")
def show_quotes() -> Response:
    """The quotes of the tenant, newest first: all, those in one state, or live ones that may not hold; and why not."""
    asked = request.args
    found, risks = (_at_risk if _ASKED_AT_RISK in asked.items() else _quotes)(asked.get("before"))
    older = found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None
    return page(
        "quotes.html", quotes=found[:_PER_PAGE], risks=risks, older=older, states=tuple(QuoteState), asked=asked
    )


def _quotes(before_id: str | None) -> _Listed:
    state = next((one for one in QuoteState if one.value == request.args.get("state")), None)
    only = QuoteFilter(state=state)
    found = list_quotes(runtime(), caller(), only=only, before_id=before_id, limit=_PER_PAGE + 1)
    return found, risks_of(runtime(), caller(), {one.id for one in found})


def _at_risk(before_id: str | None) -> _Listed:
    found = list_at_risk(runtime(), caller(), within_days=DAYS_AHEAD, before_id=before_id, limit=_PER_PAGE + 1)
    return tuple(one.quote for one in found), {one.id: one.risks for one in found}


@blueprint.get("/quotes/<quote_id>")
def show_quote(quote_id: str) -> Response:
    """One revision: what it says, how it stands, what may be done with it."""
    return _page(get_quote(runtime(), caller(), quote_id))


def _page(quote: QuoteView, *, problem: str | None = None, taken: str | None = None, status: int = 200) -> Response:
    said = orjson.loads(quote.snapshot)
    revisions = list_revisions(runtime(), caller(), quote.id)
    return page(
        "quote.html",
        status=status,
        quote=quote,
        view=page_view(said, state=quote.state.value, sha256=quote.sha256),
        said=said,
        steps=_steps(quote, revisions),
        writable=quote.state in _WRITABLE and quote.cannot_be_issued is None,
        revisions=revisions,
        risks=risks_of(runtime(), caller(), {quote.id}).get(quote.id, ()),
        problem=problem,
        taken=taken,
        typed=request.form,
        chart=ownership_chart(said),
        checks=checks(said, approvers=quote.approval.approvers, needs=quote.approval.needs, why=quote.approval.why),
    )


def _steps(quote: QuoteView, revisions: Sequence[QuoteSummary]) -> tuple[Step, ...]:
    """What the caller's role may do next; whether it may with this quote is for the use case to say."""
    barred = set() if caller().may(Permission.QUOTE_APPROVALS) else {"approve", "reject"}
    if any(one.revision > quote.revision for one in revisions):
        barred.add("revise")
    found = steps_of(quote.state, cannot_be_issued=quote.cannot_be_issued is not None)
    return tuple(step for step in found if step.name not in barred)


@blueprint.post("/quotes/<quote_id>/<step>")
def take(quote_id: str, step: str) -> AnyResponse:
    """A step in the life of a quote, over the version that was read; why it cannot be taken is told on its page."""
    if step not in STEPS:
        raise NotFoundError(f"There is no step {step[:64]!r}.")
    try:
        after = _take(quote_id, step)
    except (ConflictError, ForbiddenError, PreconditionFailedError, InvalidRequestError) as error:
        return _page(get_quote(runtime(), caller(), quote_id), problem=error.message, taken=step, status=409)
    return redirect(f"/quotes/{after.id}", code=303)


def _take(quote_id: str, step: str) -> QuoteView:
    typed = request.form
    common: dict[str, Any] = {"version": number_of(typed.get("version", "0")), "request_id": request_id()}
    if step == "revise":
        return revise(runtime(), caller(), quote_id, _REVISION.load({}), **common)
    if step == "accept":
        said = {name: typed.get(name, "").strip() or None for name in ("accepted_by", "reference")}
        return quote_steps.accept(runtime(), caller(), quote_id, acceptance=said, **common)
    plain: dict[str, Callable[..., QuoteView]] = {
        "submit": quote_steps.submit,
        "approve": quote_steps.approve,
        "issue": quote_steps.issue,
    }
    if step in plain:
        return plain[step](runtime(), caller(), quote_id, **common)
    reason = typed.get("reason", "").strip()
    if not reason:
        raise InvalidRequestError("Say why, in a sentence.")
    with_reason: dict[str, Callable[..., QuoteView]] = {
        "reject": quote_steps.reject,
        "decline": quote_steps.decline,
        "withdraw": quote_steps.withdraw,
    }
    return with_reason[step](runtime(), caller(), quote_id, reason=reason, **common)


@blueprint.get("/quotes/<quote_id>/file.<form>")
def read_file(quote_id: str, form: str) -> AnyResponse:
    """The quote as a file; while a worker makes it, a page that asks again."""
    wanted = next((one for one in FileForm if one.value == form), None)
    if wanted is None:
        raise NotFoundError(f"A quote is no {form[:16]!r}.")
    found = document(runtime(), caller(), quote_id, wanted)
    if found is None:
        waits = page("quote_waits.html", status=202, quote_id=quote_id, form=wanted.value)
        waits.headers["Content-Security-Policy"] = _WAITS_IN_A_FRAME
        return waits
    inline = wanted is FileForm.PDF and "save" not in request.args
    headers = {
        "Content-Disposition": f'{"inline" if inline else "attachment"}; filename="{found.filename}"',
        "Content-Security-Policy": _IN_A_FRAME,
    }
    return Response(found.content, mimetype=_MEDIA_TYPES[wanted], headers=headers)


@blueprint.get("/quotes/<quote_id>/diff/<other_id>")
def show_difference(quote_id: str, other_id: str) -> Response:
    """What changed from one revision to another."""
    found = quote_difference(runtime(), caller(), quote_id, other_id=other_id)
    return page("quote_diff.html", found=found)
