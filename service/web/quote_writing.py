"""/quotes/new and the form of a draft: what is typed is priced and screened at once, and kept over what was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    InvalidRequestError,
    PlannerError,
    PreconditionFailedError,
    UnknownReferenceError,
)
from service.planning.preview import AnsweredRun, answered_run
from service.planning.price_book_view import BookState
from service.planning.price_books import list_price_books
from service.planning.quote_drafting import Composed, Identity, compose, named
from service.planning.quote_view import QuoteView
from service.planning.quotes import create, get_quote, rewrite
from service.schemas.issue import field_errors
from service.schemas.quote_request import QUOTE_REQUEST, QuoteRequest
from service.store.filters import PriceBookFilter
from service.store.tables.quotes import QuoteState
from service.web.charts.ownership import OwnershipChart, ownership_chart
from service.web.form.doubt import unclear
from service.web.form.field import Form
from service.web.form.overtaken import Overtaken, merged, overtaken, read_of, read_text
from service.web.form.quote import INITIAL, PREFIX, form_for, told_of_site
from service.web.form.quote_lines import (
    ChargeFields,
    as_asked,
    charge_fields,
    groups_beside,
    members_beside,
    place_typed,
    typed_lines,
)
from service.web.form.reading import beside_fields, body_of, typed_of
from service.web.quote_words import Check, checks
from service.web.rendering import page

blueprint = PageBlueprint("quote-writing", __name__, permission=Permission.QUOTES)

_HOUR = f"{PREFIX}.tco.cloud.gpu_hour."
_CUSTOMER, _NOBODY_YET = f"{PREFIX}.customer.name", "to be named"
_CURRENCY = f"{PREFIX}.currency"
_RATE = f"{PREFIX}.fx."
TOLD_HERE = (InvalidRequestError, UnknownReferenceError, ConflictError)
_MOST_BOOKS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A form as it was filled in, and the quote that it comes to without what is wrong in it.

    `read` is what stood in the form when it was opened; `changed` what somebody else has changed since.
    """

    typed: Mapping[str, str]
    base: Mapping[str, Any]
    form: Form
    charges: tuple[ChargeFields, ...]
    shown: Mapping[str, Any] | None = None
    composed: Composed | None = None
    chart: OwnershipChart | None = None
    checks: tuple[Check, ...] = ()
    uncounted: tuple[Mapping[str, Any], ...] = ()
    errors: Mapping[str, list[FieldError]] = field(default_factory=dict)
    read: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[Overtaken, ...] = ()

    @property
    def read_text(self) -> str:
        """What stood in the form, as the form itself carries it."""
        return read_text(self.read)

    @property
    def beside(self) -> tuple[str, ...]:
        """Fields beside lines in which something stands, for when the lines themselves cannot be shown."""
        return tuple(one.path for one in groups_beside(self.typed)[0].fields)


@blueprint.get("/quotes/new")
def begin() -> Response:
    """The form of a new quote from an option of a run."""
    base = {"run_id": request.args.get("run", ""), "option": number_of(request.args.get("option", "1"))}
    return _form_page(written(base, {**INITIAL, **_currency_in_force(), **_told_of(base)}))


def _currency_in_force() -> Mapping[str, str]:
    """The currency of the tenant's own prices, where none of its books prices in the usual one."""
    books = list_price_books(runtime(), caller(), only=PriceBookFilter(activated=True), limit=_MOST_BOOKS)
    pricing = {book.currency: book.effective_from or "" for book in books if book.state is BookState.IN_FORCE}
    if not pricing or INITIAL[_CURRENCY] in pricing:
        return {}
    return {_CURRENCY: max(pricing, key=pricing.__getitem__)}


@blueprint.post("/quotes/preview")
def preview() -> Response:
    """What the form comes to, and what is wrong beside each field; nothing is stored."""
    typed = request.form.to_dict()
    return page("quote_preview.html", written=written(_base(typed), typed))


@blueprint.post("/quotes")
def write() -> AnyResponse:
    """A draft under a new number."""
    typed = request.form.to_dict()
    base = _base(typed)
    try:
        made = create(runtime(), caller(), _request(base, typed), request_id=request_id())
    except TOLD_HERE as error:
        return _form_page(_refused(base, typed, error), status=422)
    return redirect(f"/quotes/{made.id}", code=303)


@blueprint.get("/quotes/<quote_id>/change")
def begin_change(quote_id: str) -> Response:
    """The form of a draft as it was filled in."""
    quote = get_quote(runtime(), caller(), quote_id)
    base = orjson.loads(quote.request)
    stored = _typed(base)
    return _form_page(replace(written(base, stored), read=stored), quote=quote)


@blueprint.post("/quotes/<quote_id>")
def change(quote_id: str) -> AnyResponse:
    """Write a draft anew over the version that was read; whoever was overtaken sees by what, and loses nothing."""
    typed = request.form.to_dict()
    quote = get_quote(runtime(), caller(), quote_id)
    base = orjson.loads(quote.request)
    version = number_of(typed.get("version", "0"))
    try:
        rewrite(runtime(), caller(), quote_id, _request(base, typed), version=version, request_id=request_id())
    except PreconditionFailedError:
        return _overtaken_page(quote, typed)
    except TOLD_HERE as error:
        refused = replace(_refused(base, typed, error), read=read_of(typed))
        return _form_page(refused, quote=quote, version=version, status=422)
    return redirect(f"/quotes/{quote_id}", code=303)


def _overtaken_page(quote: QuoteView, typed: Mapping[str, str]) -> Response:
    base, read = orjson.loads(quote.request), read_of(typed)
    stored = _typed(base)
    both = merged(read=read, stored=stored, typed={path: text for path, text in typed.items() if _is_asked(path)})
    shown = written(base, both)
    changed = overtaken(shown.form, read=read, stored=stored, typed=typed)
    return _form_page(replace(shown, read=stored, changed=changed), quote=quote, status=412)


def _form_page(
    written: Written, *, quote: QuoteView | None = None, version: int | None = None, status: int = 200
) -> Response:
    address = "/quotes" if quote is None else f"/quotes/{quote.id}"
    read_version = version if quote is None or version is not None else quote.version
    return page("quote_form.html", status=status, written=written, address=address, version=read_version, quote=quote)


def _base(typed: Mapping[str, str]) -> dict[str, Any]:
    return {"run_id": typed.get("run_id", ""), "option": number_of(typed.get("option", "1"))}


def number_of(text: str) -> int:
    """A whole number that a form carries; 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _is_asked(path: str) -> bool:
    return path.startswith(f"{PREFIX}.")


def _typed(base: Mapping[str, Any]) -> dict[str, str]:
    """What would have to be typed to ask this quote."""
    return typed_of({PREFIX: base}, _form(base, {})) | typed_lines(base)


def _request(base: Mapping[str, Any], typed: Mapping[str, str]) -> QuoteRequest:
    """What was asked before, with what is typed in place of it. Raises InvalidRequestError with every wrong field."""
    form = _form(base, typed)
    if doubts := unclear(_with_lines(form, typed), typed):
        told = tuple(replace(one, field=one.field.removeprefix(f"{PREFIX}.")) for one in doubts)
        raise InvalidRequestError(told[0].message, errors=told)
    asked = as_asked(body_of(_with_lines(form, typed), typed).get(PREFIX, {}))
    # What the form has fields for is as they say: an emptied field takes back what was asked before.
    inside = {one.path.split(".")[1] for one in form.everything}.union(members_beside())
    body = {name: value for name, value in base.items() if name not in inside and value is not None} | asked
    try:
        loaded: QuoteRequest = QUOTE_REQUEST.load(body)
    except ValidationError as error:
        errors = field_errors(error.messages)
        raise InvalidRequestError(errors[0].message, errors=errors) from error
    return loaded


def _with_lines(form: Form, typed: Mapping[str, str]) -> Form:
    return replace(form, groups=(*form.groups, *groups_beside(typed)))


def written(base: Mapping[str, Any], typed: Mapping[str, str]) -> Written:
    """The form with the quote that it comes to; what is wrong is told beside its field, and left out of the totals."""
    form = _form(base, typed)
    errors: dict[str, list[FieldError]] = {}
    composed, known = None, dict(typed)
    while composed is None:
        try:
            composed = compose(runtime(), caller(), _request(base, _enough(known)), now=runtime().clock())
        except TOLD_HERE as error:
            found = _beside(form, error, known)
            left = _without(known, found)
            errors = {**found, **errors}
            if len(left) == len(known):
                break
            known = left
    made = Written(typed=typed, base=base, form=form, charges=charge_fields(typed), errors=errors)
    return made if composed is None else _priced(made, composed)


def _enough(typed: Mapping[str, str]) -> dict[str, str]:
    """The totals are there before anybody is named."""
    return {_CUSTOMER: _NOBODY_YET, **INITIAL, **{path: text for path, text in typed.items() if text.strip()}}


def _without(typed: Mapping[str, str], wrong: Mapping[str, Any]) -> dict[str, str]:
    """What was typed, without what is wrong; of a rate, which is three fields, all of it."""
    rate = any(path.startswith(_RATE) for path in wrong)
    kept = {path: text for path, text in typed.items() if path not in wrong and text.strip()}
    return {path: text for path, text in kept.items() if not (rate and path.startswith(_RATE))}


def _priced(made: Written, composed: Composed) -> Written:
    identity = Identity(number="not given yet", revision=1, created_on=runtime().clock().date())
    said, needed = orjson.loads(named(composed, identity).snapshot), composed.approval
    return replace(
        made,
        composed=composed,
        shown=page_view(said, state=QuoteState.DRAFT.value, sha256=None),
        chart=ownership_chart(said),
        uncounted=tuple(said["uncounted"]),
        checks=checks(said, approvers=tuple(needed.approvers), needs=needed.needs, why=needed.why),
    )


def _refused(base: Mapping[str, Any], typed: Mapping[str, str], error: PlannerError) -> Written:
    shown = written(base, typed)
    return replace(shown, errors={**shown.errors, **_beside(shown.form, error, typed)})


def _form(base: Mapping[str, Any], typed: Mapping[str, str]) -> Form:
    """The form, with the price of an hour of the GPU that is quoted, and the books that it may be priced from."""
    gpu = next((path.removeprefix(_HOUR) for path in typed if path.startswith(_HOUR)), None)
    if gpu is None:
        found = _sized(base)
        gpu = next((one.gpu for one in found.priced.result.options if one.rank == base["option"]), None)
    books = list_price_books(runtime(), caller(), only=PriceBookFilter(activated=True), limit=_MOST_BOOKS)
    named_books = ((one.id, f"{one.name}, version {one.version}, {one.currency}") for one in books)
    return form_for(gpu, books=named_books, told=_told_of(base))


def _sized(base: Mapping[str, Any]) -> AnsweredRun:
    return answered_run(runtime(), caller(), str(base["run_id"]))


def _told_of(base: Mapping[str, Any]) -> Mapping[str, str]:
    """What the sizing was told of where and when: it holds in the quote too, so the form has to show it."""
    return told_of_site(_sized(base).question.constraints)


def _beside(form: Form, error: PlannerError, typed: Mapping[str, str]) -> Mapping[str, list[FieldError]]:
    told = error.detail.errors or (FieldError(field="", message=error.message),)
    inside = tuple(replace(one, field=f"{PREFIX}.{place_typed(one.field, typed)}" if one.field else "") for one in told)
    return beside_fields(_with_lines(form, typed), inside)
