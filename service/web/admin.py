"""/admin: keys, who changed what; and price books with what differs between two of them."""

from dataclasses import dataclass

from flask import Response, redirect, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint
from service.errors import ConflictError, InvalidRequestError
from service.planning import webhook_changes
from service.planning.audit import ACTIONS, ResourceKind, list_events
from service.planning.own_keys import KeyView, end_key, list_keys, make_key
from service.planning.price_book_view import PricedPartView
from service.planning.price_books import get_price_book, list_price_books
from service.planning.webhook_changes import list_webhooks
from service.planning.webhook_view import WebhookView
from service.schemas.event import SUBSCRIBABLE
from service.schemas.issue import field_errors
from service.schemas.keys import KeyRequestSchema
from service.schemas.webhook import WebhookRequestSchema
from service.store.filters import AuditFilter, PriceBookFilter
from service.web.rendering import page

blueprint = PageBlueprint("admin", __name__, permission=Permission.AUDIT)
keys = PageBlueprint("keys", __name__, permission=Permission.KEYS)
hooks = PageBlueprint("hooks", __name__, permission=Permission.WEBHOOKS)
prices = PageBlueprint("prices", __name__, permission=Permission.PRICE_BOOKS)

_PER_PAGE = 50
_KEY, _WEBHOOK = KeyRequestSchema(), WebhookRequestSchema()


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


@blueprint.get("/admin")
def choose() -> AnyResponse:
    """The first page."""
    return redirect("/admin/keys", code=303)


@keys.get("/admin/keys")
def show_keys() -> Response:
    """The keys of the tenant, without what opens them."""
    return _keys()


def _keys(*, made: KeyView | None = None, problem: str | None = None, status: int = 200) -> Response:
    before = request.args.get("before")
    found = list_keys(runtime(), caller(), before_id=before, limit=_PER_PAGE + 1)
    return page(
        "admin_keys.html",
        status=status,
        keys=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None,
        roles=tuple(_KEY.load_fields["role"].metadata["enum"]),
        made=made,
        problem=problem,
        typed=request.form,
        mine=caller().key_id,
    )


@keys.post("/admin/keys")
def add_key() -> Response:
    """A new key; its token is told on this page, and never again."""
    try:
        asked = _KEY.load({name: request.form.get(name, "").strip() for name in ("principal", "role")})
    except ValidationError as error:
        return _keys(problem=_first(error), status=422)
    return _shown_once(_keys(made=make_key(runtime(), caller(), asked, request_id=request_id())))


@keys.post("/admin/keys/<key_id>/revoke")
def revoke(key_id: str) -> AnyResponse:
    """Revoke a key at once; sessions that were opened with it end too."""
    end_key(runtime(), caller(), key_id, request_id=request_id())
    return redirect("/admin/keys", code=303)


@hooks.get("/admin/webhooks")
def show_webhooks() -> Response:
    """The webhooks of the tenant."""
    return _webhooks()


def _webhooks(*, made: WebhookView | None = None, problem: str | None = None, status: int = 200) -> Response:
    return page(
        "admin_webhooks.html",
        status=status,
        webhooks=list_webhooks(runtime(), caller(), state=None),
        events=tuple(str(one) for one in SUBSCRIBABLE),
        made=made,
        problem=problem,
        typed=request.form,
        chosen=request.form.getlist("events"),
    )


@hooks.post("/admin/webhooks")
def add_webhook() -> Response:
    """A new webhook; the secret that its events are signed with is told on this page, and never again."""
    body = {"url": request.form.get("url", "").strip(), "events": request.form.getlist("events")}
    try:
        asked = _WEBHOOK.load(body)
        made = webhook_changes.create(runtime(), caller(), asked, request_id=request_id())
    except ValidationError as error:
        return _webhooks(problem=_first(error), status=422)
    except (InvalidRequestError, ConflictError) as error:
        return _webhooks(problem=error.message, status=422)
    return _shown_once(_webhooks(made=made))


@hooks.post("/admin/webhooks/<webhook_id>/delete")
def delete_webhook(webhook_id: str) -> AnyResponse:
    """Send nothing there any more."""
    webhook_changes.delete(runtime(), caller(), webhook_id, version=None, request_id=request_id())
    return redirect("/admin/webhooks", code=303)


def _shown_once(response: Response) -> Response:
    """What is told now and never again is kept by no browser either."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _first(error: ValidationError) -> str:
    wrong = field_errors(error.messages)[0]
    return f"{wrong.field}: {wrong.message}"


@blueprint.get("/admin/audit")
def show_audit() -> Response:
    """Who changed what, newest first."""
    only = AuditFilter(
        action=request.args.get("action") or None,
        principal=request.args.get("principal") or None,
        resource_kind=request.args.get("kind") or None,
    )
    found = list_events(runtime(), caller(), only=only, before_id=request.args.get("before"), limit=_PER_PAGE + 1)
    return page(
        "admin_audit.html",
        events=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None,
        actions=ACTIONS,
        kinds=tuple(ResourceKind),
        asked=request.args,
    )


@prices.get("/price-books")
def show_books() -> Response:
    """The price books of the tenant."""
    return page("price_books.html", books=list_price_books(runtime(), caller(), only=PriceBookFilter()))


@prices.get("/price-books/<book_id>")
def show_book(book_id: str) -> Response:
    """One book with its lines, and the others to hold it against."""
    book = get_price_book(runtime(), caller(), book_id)
    others = list_price_books(runtime(), caller(), only=PriceBookFilter())
    return page("price_book.html", book=book, others=[one for one in others if one.id != book.id])


@prices.get("/price-books/<book_id>/diff/<other_id>")
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
    return page("price_book_diff.html", old=old, new=new, changes=changes, same=len(before.keys() & after.keys()))
