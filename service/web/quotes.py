"""/quotes: written from an option with totals that follow the form, taken through their life, shown as they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Response, redirect, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.documents.view import page_view
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint
from service.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PlannerError,
    PreconditionFailedError,
    UnknownReferenceError,
)
from service.planning import quote_steps
from service.planning.preview import answered_run
from service.planning.quote_documents import Form as FileForm
from service.planning.quote_documents import document
from service.planning.quote_drafting import Composed, Identity, compose, named
from service.planning.quote_revise import quote_difference, revise
from service.planning.quote_view import QuoteView
from service.planning.quotes import create, get_quote, list_quotes, list_revisions, rewrite
from service.schemas.issue import field_errors
from service.schemas.quote_request import QUOTE_REQUEST, QuoteRequest
from service.schemas.quote_revision import RevisionRequestSchema
from service.store.filters import QuoteFilter
from service.store.tables.quotes import QuoteState
from service.web.charts.ownership import OwnershipChart, ownership_chart
from service.web.form.field import Form
from service.web.form.quote import FORM, INITIAL, PREFIX, form_for
from service.web.form.reading import beside_fields, body_of, typed_of
from service.web.rendering import page

blueprint = PageBlueprint("quotes", __name__, permission=Permission.QUOTES)

_PER_PAGE = 30
_HOUR = f"{PREFIX}.tco.cloud.gpu_hour."
_CUSTOMER, _NOBODY_YET = f"{PREFIX}.customer.name", "to be named"
_TOLD_HERE = (InvalidRequestError, UnknownReferenceError, ConflictError)
_REVISION = RevisionRequestSchema()
_MEDIA_TYPES = {
    FileForm.PDF: "application/pdf",
    FileForm.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileForm.CSV: "text/csv",
}
_IN_A_FRAME = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
# What may be done in each state.
_STEPS: Mapping[QuoteState, tuple[str, ...]] = {
    QuoteState.DRAFT: ("submit", "withdraw"),
    QuoteState.PENDING_APPROVAL: ("approve", "reject", "withdraw"),
    QuoteState.APPROVED: ("issue", "withdraw"),
    QuoteState.ISSUED: ("accept", "decline", "revise", "withdraw"),
}
_APPROVALS = ("approve", "reject")
_WRITABLE = (QuoteState.DRAFT, QuoteState.PENDING_APPROVAL, QuoteState.APPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A form as it was filled in, and the quote that it comes to."""

    typed: Mapping[str, str]
    base: Mapping[str, Any]
    shown: Mapping[str, Any] | None = None
    composed: Composed | None = None
    errors: Mapping[str, list[FieldError]] = field(default_factory=dict)
    form: Form
    chart: OwnershipChart | None = None


@blueprint.get("/quotes")
def show_quotes() -> Response:
    """The quotes of the tenant, newest first."""
    state = next((one for one in QuoteState if one.value == request.args.get("state")), None)
    found = list_quotes(
        runtime(),
        caller(),
        only=QuoteFilter(state=state),
        before_id=request.args.get("before"),
        limit=_PER_PAGE + 1,
    )
    older = found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None
    return page("quotes.html", quotes=found[:_PER_PAGE], older=older, states=tuple(QuoteState), asked=request.args)


@blueprint.get("/quotes/new")
def begin() -> Response:
    """The form of a new quote from an option of a run."""
    base = {"run_id": request.args.get("run", ""), "option": _number(request.args.get("option", "1"))}
    return page("quote_form.html", written=_written(base, INITIAL), address="/quotes", version=None)


@blueprint.post("/quotes/preview")
def preview() -> Response:
    """What the form comes to, and what is wrong beside each field; nothing is stored."""
    typed = request.form.to_dict()
    return page("quote_preview.html", written=_written(_base(typed), typed), oob=True)


@blueprint.post("/quotes")
def write() -> AnyResponse:
    """A draft under a new number."""
    typed = request.form.to_dict()
    base = _base(typed)
    try:
        made = create(runtime(), caller(), _request(base, typed), request_id=request_id())
    except _TOLD_HERE as error:
        written = _wrong(base, typed, error)
        return page("quote_form.html", status=422, written=written, address="/quotes", version=None)
    return redirect(f"/quotes/{made.id}", code=303)


@blueprint.get("/quotes/<quote_id>")
def show_quote(quote_id: str) -> Response:
    """One revision: what it says, how it stands, what may be done with it."""
    return _page(get_quote(runtime(), caller(), quote_id))


def _page(quote: QuoteView, *, problem: str | None = None, status: int = 200) -> Response:
    said = orjson.loads(quote.snapshot)
    return page(
        "quote.html",
        status=status,
        quote=quote,
        view=page_view(said, state=quote.state.value, sha256=quote.sha256),
        said=said,
        steps=_steps(quote.state),
        writable=quote.state in _WRITABLE,
        revisions=list_revisions(runtime(), caller(), quote.id),
        problem=problem,
        chart=ownership_chart(said["tco"]),
    )


def _steps(state: QuoteState) -> tuple[str, ...]:
    """What the caller's role may do next; whether it may with this quote is for the use case to say."""
    approves = caller().may(Permission.QUOTE_APPROVALS)
    return tuple(step for step in _STEPS.get(state, ()) if approves or step not in _APPROVALS)


@blueprint.get("/quotes/<quote_id>/change")
def begin_change(quote_id: str) -> Response:
    """The form of a draft as it was filled in."""
    quote = get_quote(runtime(), caller(), quote_id)
    base = orjson.loads(quote.request)
    written = _written(base, typed_of({PREFIX: base}, _form(base, {})))
    return page("quote_form.html", written=written, address=f"/quotes/{quote.id}", version=quote.version)


@blueprint.post("/quotes/<quote_id>")
def change(quote_id: str) -> AnyResponse:
    """Write a draft anew over the version that was read."""
    typed = request.form.to_dict()
    base = orjson.loads(get_quote(runtime(), caller(), quote_id).request)
    version = _number(typed.get("version", "0"))
    try:
        rewrite(runtime(), caller(), quote_id, _request(base, typed), version=version, request_id=request_id())
    except (*_TOLD_HERE, PreconditionFailedError) as error:
        written = _wrong(base, typed, error)
        address = f"/quotes/{quote_id}"
        return page("quote_form.html", status=422, written=written, address=address, version=version)
    return redirect(f"/quotes/{quote_id}", code=303)


@blueprint.post("/quotes/<quote_id>/<step>")
def take(quote_id: str, step: str) -> AnyResponse:
    """A step in the life of a quote, over the version that was read; why it cannot be taken is told on its page."""
    if step not in {name for steps in _STEPS.values() for name in steps}:
        raise NotFoundError(f"There is no step {step[:64]!r}.")
    try:
        after = _take(quote_id, step)
    except (ConflictError, ForbiddenError, PreconditionFailedError, InvalidRequestError) as error:
        return _page(get_quote(runtime(), caller(), quote_id), problem=error.message, status=409)
    return redirect(f"/quotes/{after.id}", code=303)


def _take(quote_id: str, step: str) -> QuoteView:
    typed = request.form
    common: dict[str, Any] = {"version": _number(typed.get("version", "0")), "request_id": request_id()}
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
        return page("quote_waits.html", status=202, quote_id=quote_id, form=wanted.value)
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


def _base(typed: Mapping[str, str]) -> dict[str, Any]:
    return {"run_id": typed.get("run_id", ""), "option": _number(typed.get("option", "1"))}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _request(base: Mapping[str, Any], typed: Mapping[str, str]) -> QuoteRequest:
    """What was asked before, with what is typed in place of it. Raises InvalidRequestError with every wrong field."""
    body = {**base, **dict.fromkeys(_typed_members(base))}
    body = {name: value for name, value in body.items() if value is not None}
    form = _form(base, typed)
    body |= body_of(form, typed).get(PREFIX, {})
    if isinstance(base.get("tco"), Mapping) and isinstance(body.get("tco"), Mapping):
        body["tco"] = {**base["tco"], **body["tco"]}
    try:
        loaded: QuoteRequest = QUOTE_REQUEST.load(body)
    except ValidationError as error:
        errors = field_errors(error.messages)
        raise InvalidRequestError(errors[0].message, errors=errors) from error
    return loaded


def _typed_members(base: Mapping[str, Any]) -> list[str]:
    """What the form has fields for: an emptied field takes back what was asked before."""
    inside = {one.path.split(".")[1] for one in FORM.everything}
    return [name for name in base if name in inside]


def _written(base: Mapping[str, Any], typed: Mapping[str, str]) -> Written:
    now = runtime().clock()
    # The totals are there before anybody is named.
    known = dict(typed) if typed.get(_CUSTOMER, "").strip() else {**typed, _CUSTOMER: _NOBODY_YET}
    try:
        composed = compose(runtime(), caller(), _request(base, known), now=now)
    except _TOLD_HERE as error:
        return _wrong(base, typed, error)
    number = Identity(number="not given yet", revision=1, created_on=now.date())
    said = orjson.loads(named(composed, number).snapshot)
    return Written(
        typed=typed,
        base=base,
        form=_form(base, typed),
        composed=composed,
        shown=page_view(said, state=QuoteState.DRAFT.value, sha256=None),
        chart=ownership_chart(said["tco"]),
    )


def _wrong(base: Mapping[str, Any], typed: Mapping[str, str], error: PlannerError) -> Written:
    form = _form(base, typed)
    return Written(typed=typed, base=base, form=form, errors=_beside(form, error))


def _form(base: Mapping[str, Any], typed: Mapping[str, str]) -> Form:
    """The form, with the price of an hour of the GPU that is quoted."""
    named = next((path.removeprefix(_HOUR) for path in typed if path.startswith(_HOUR)), None)
    if named is None:
        found = answered_run(runtime(), caller(), str(base["run_id"]))
        named = next((one.gpu for one in found.priced.result.options if one.rank == base["option"]), None)
    return FORM if named is None else form_for(named)


def _beside(form: Form, error: PlannerError) -> Mapping[str, list[FieldError]]:
    told = error.detail.errors or (FieldError(field="", message=error.message),)
    inside = tuple(
        FieldError(
            field=f"{PREFIX}.{one.field}" if one.field else "",
            message=one.message,
            value=one.value,
            limit=one.limit,
            did_you_mean=one.did_you_mean,
        )
        for one in told
    )
    return beside_fields(form, inside)
