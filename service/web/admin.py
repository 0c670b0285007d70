"""/admin: keys, who changed what; and price books with what differs between two of them."""

from dataclasses import dataclass
from typing import Any

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from service.access import TENANT_ROLES, Permission
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint
from service.planning import own_keys
from service.planning.audit import Action, ResourceKind, list_events
from service.planning.price_book_view import PricedPartView
from service.planning.price_books import get_price_book, list_price_books
from service.schemas.keys import KeyRequest
from service.store.filters import AuditFilter, PriceBookFilter
from service.web.rendering import page

blueprint = PageBlueprint("admin", __name__, permission=Permission.AUDIT)
prices = PageBlueprint("prices", __name__, permission=Permission.PRICE_BOOKS)

_PER_PAGE = 50
_MOST_KEYS = 500
_LONGEST_NAME = 100


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


@blueprint.get("/admin/keys")
def show_keys() -> Response:
    """The keys of the tenant, without what opens them."""
    return _keys()


def _keys(*, made: Any = None, problem: str | None = None, status: int = 200) -> Response:
    return page(
        "admin_keys.html",
        status=status,
        keys=own_keys.list_keys(runtime(), caller(), limit=_MOST_KEYS),
        roles=TENANT_ROLES,
        made=made,
        problem=problem,
        typed=request.form,
        mine=caller().key_id,
    )


@blueprint.post("/admin/keys")
def make_key() -> Response:
    """A new key; its token is told on this page, and never again."""
    principal = request.form.get("principal", "").strip()
    role = next((one for one in TENANT_ROLES if one.value == request.form.get("role")), None)
    if role is None or not principal or len(principal) > _LONGEST_NAME or not principal.isprintable():
        return _keys(problem="Give a name of at most 100 characters, and a role.", status=422)
    asked = KeyRequest(principal=principal, role=role.value, expires_at=None)
    response = _keys(made=own_keys.make_key(runtime(), caller(), asked, request_id=request_id()))
    # It is to be nowhere but on this page, not even where a browser keeps what it has shown.
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/admin/keys/<key_id>/revoke")
def end_key(key_id: str) -> AnyResponse:
    """Revoke a key at once; sessions that were opened with it end too."""
    own_keys.end_key(runtime(), caller(), key_id, request_id=request_id())
    return redirect("/admin/keys", code=303)


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
        actions=tuple(Action),
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
