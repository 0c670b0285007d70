"""/price-books: uploaded with a report of every row, put in force from a day, and held against each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Response, redirect, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint
from service.edge.price_book import PriceBookUploadSchema
from service.edge.tables import CSV_MEDIA_TYPE
from service.errors import ConflictError, FieldError, InvalidRequestError, PreconditionFailedError
from service.planning.price_book_template import FILENAME, price_book_template
from service.planning.price_book_view import BookState, PriceBookView, PricedPartView
from service.planning.price_books import activate, get_price_book, list_price_books, upload
from service.schemas.issue import field_errors
from service.schemas.json_text import MalformedBodyError
from service.schemas.price_books import ActivationSchema, PriceBookRequest
from service.schemas.price_table import COLUMNS
from service.store.filters import PriceBookFilter
from service.web.form.book import CONTENT, FORM, PREFIX, body_sent
from service.web.form.reading import beside_fields
from service.web.quote_writing import number_of
from service.web.rendering import page
from service.web.sent import sent_text, shown_again

blueprint = PageBlueprint("prices", __name__, permission=Permission.PRICE_BOOKS)
writing = PageBlueprint("price-writing", __name__, permission=Permission.PRICE_BOOK_CHANGES)

_PER_PAGE = 50
_MOST_OTHERS = 30
_LINES = "lines"


_UPLOAD, _ACTIVATION = PriceBookUploadSchema(), ActivationSchema()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChange:
    """A part whose line differs between two books; None where one of them has no such part."""

    part: str
    old: PricedPartView | None
    new: PricedPartView | None

    @property
    def change_fraction(self) -> float | None:
        """New price over old, less one."""
        before = None if self.old is None else self.old.list_price
        after = None if self.new is None else self.new.list_price
        return float(after / before - 1) if before and after is not None else None

    @property
    def differs(self) -> tuple[str, ...]:
        """What else than the price is another one."""
        if self.old is None or self.new is None:
            return ()
        names = ("kind", "unit", "sku", "lead_time_weeks", "note")
        return tuple(name for name in names if getattr(self.old, name) != getattr(self.new, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """An upload as it was sent, with what is wrong beside its fields and in its rows."""

    typed: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    errors: Mapping[str, list[FieldError]] = field(default_factory=dict)
    rows: tuple[FieldError, ...] = ()


@blueprint.get("/price-books")
def show_books() -> Response:
    """The price books of the tenant, newest first."""
    before = request.args.get("before")
    found = list_price_books(runtime(), caller(), only=PriceBookFilter(), before_id=before, limit=_PER_PAGE + 1)
    return page(
        "price_books.html",
        books=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None,
        writes=caller().may(Permission.PRICE_BOOK_CHANGES),
        template_file=FILENAME,
    )


@writing.get("/price-books/new")
def begin() -> Response:
    """The form of an upload."""
    today = runtime().clock().date().isoformat()
    return _form(_Sent(typed={f"{PREFIX}.currency": "USD", f"{PREFIX}.date": today}))


@writing.post("/price-books")
def add() -> AnyResponse:
    """The next version of a book, all of it or nothing; each row that is wrong is told."""
    typed = {path: text for path, text in request.form.items() if path.startswith(f"{PREFIX}.")}
    text = ""
    try:
        text = sent_text(CONTENT, what="a table or a JSON object")
        made = upload(runtime(), caller(), _read(typed, text), request_id=request_id())
    except MalformedBodyError as error:
        told = (FieldError(field="", message=error.message),)
        return _form(_Sent(typed=typed, text=shown_again(text), rows=told), status=422)
    except (InvalidRequestError, ConflictError) as error:
        return _form(_refused(typed, text, error), status=422)
    return redirect(f"/price-books/{made.id}", code=303)


def _read(typed: Mapping[str, str], text: str) -> PriceBookRequest:
    try:
        loaded: PriceBookRequest = _UPLOAD.load(body_sent(typed, text))
    except ValidationError as error:
        errors = field_errors(error.messages)
        raise InvalidRequestError(errors[0].message, errors=errors) from error
    return loaded


def _refused(typed: Mapping[str, str], text: str, error: InvalidRequestError | ConflictError) -> _Sent:
    told = error.detail.errors or (FieldError(field="", message=error.message),)
    rows = tuple(one for one in told if one.field.partition(".")[0] == _LINES)
    head = tuple(replace(one, field=f"{PREFIX}.{one.field}" if one.field else "") for one in told if one not in rows)
    return _Sent(typed=typed, text=shown_again(text), errors=beside_fields(FORM, head), rows=rows)


def _form(sent: _Sent, *, status: int = 200) -> Response:
    return page("price_book_form.html", status=status, sent=sent, form=FORM, columns=COLUMNS, template_file=FILENAME)


@blueprint.get(f"/price-books/{FILENAME}")
def read_template() -> Response:
    """The table to fill in, as a file."""
    saved_as = {"Content-Disposition": f'attachment; filename="{FILENAME}"'}
    return Response(price_book_template(runtime()), mimetype=CSV_MEDIA_TYPE, headers=saved_as)


@blueprint.get("/price-books/<book_id>")
def show_book(book_id: str) -> Response:
    """One book with its lines, what is odd about them, and the others to hold it against."""
    return _page(get_price_book(runtime(), caller(), book_id))


def _page(book: PriceBookView, *, problem: str | None = None, typed: str = "", status: int = 200) -> Response:
    others = list_price_books(runtime(), caller(), only=PriceBookFilter(), limit=_MOST_OTHERS)
    may = caller().may(Permission.PRICE_BOOK_CHANGES)
    return page(
        "price_book.html",
        status=status,
        book=book,
        others=[one for one in others if one.id != book.id],
        begins=may and not book.used and book.state is not BookState.EXPIRED,
        day=typed or book.effective_from or runtime().clock().date().isoformat(),
        problem=problem,
    )


@writing.post("/price-books/<book_id>/activate")
def put_in_force(book_id: str) -> AnyResponse:
    """Let a book price quotes from a day on, over what was read of it."""
    day = request.form.get("effective_from", "").strip()
    try:
        asked = _ACTIVATION.load({"effective_from": day})
        activate(
            runtime(),
            caller(),
            book_id,
            effective_from=asked.effective_from,
            changes=number_of(request.form.get("changes", "0")),
            request_id=request_id(),
        )
    except ValidationError as error:
        told = field_errors(error.messages)[0].message
        return _page(get_price_book(runtime(), caller(), book_id), problem=told, typed=day, status=422)
    except (InvalidRequestError, ConflictError, PreconditionFailedError) as error:
        return _page(get_price_book(runtime(), caller(), book_id), problem=error.message, typed=day, status=409)
    return redirect(f"/price-books/{book_id}", code=303)


@blueprint.get("/price-books/<book_id>/diff")
def choose_difference(book_id: str) -> AnyResponse:
    """The difference from the book that was chosen to this one."""
    get_price_book(runtime(), caller(), book_id)
    other = request.args.get("from", "")
    return redirect(f"/price-books/{other}/diff/{book_id}" if other.isalnum() or "_" in other else "/price-books", 303)


@blueprint.get("/price-books/<book_id>/diff/<other_id>")
def show_difference(book_id: str, other_id: str) -> Response:
    """What differs from the first book to the second."""
    old, new = (get_price_book(runtime(), caller(), one) for one in (book_id, other_id))
    before = {line.part: line for line in old.lines}
    after = {line.part: line for line in new.lines}
    changes = [
        PartChange(part=part, old=before.get(part), new=after.get(part))
        for part in sorted(before.keys() | after.keys())
        if before.get(part) != after.get(part)
    ]
    return page("price_book_diff.html", old=old, new=new, changes=changes, sums=_sums(changes, before, after))


def _sums(changes: list[PartChange], before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int]:
    """How many lines became what."""
    changed = sum(one.old is not None and one.new is not None for one in changes)
    shares = [one.change_fraction or 0.0 for one in changes]
    return {
        "dearer": sum(share > 0 for share in shares),
        "cheaper": sum(share < 0 for share in shares),
        "new": len(after.keys() - before.keys()),
        "gone": len(before.keys() - after.keys()),
        "the same": len(before.keys() & after.keys()) - changed,
    }
