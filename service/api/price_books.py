"""/v1/price-books: the price books of a tenant are read."""

from typing import Any

from flask import Response

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.edge.tables import CSV_MEDIA_TYPE
from service.planning.price_book_template import FILENAME, price_book_template
from service.planning.price_book_view import PriceBookView
from service.planning.price_books import get_price_book, list_price_books
from service.schemas.currency import CurrencyField
from service.schemas.page import CursorField, PageQuerySchema, page
from service.schemas.price_books import PriceBookPageSchema, WholePriceBookSchema
from service.schemas.query import TimeField, YesOrNo
from service.schemas.strict import Text
from service.store.filters import PriceBookFilter

blueprint = ResourceBlueprint(
    "price_books",
    __name__,
    url_prefix="/v1/price-books",
    permission=Permission.PRICE_BOOKS,
    description="What parts cost, by the seller's own books.",
)
_BOOKS = "price-books"
_TEMPLATE = (
    "Every part that a bill of materials can ask for, with the unit that it counts, and no price. Filled in, and "
    "uploaded with its name, currency and date in the query, it is a price book; a part whose price stays empty has "
    "none, and a quote with that part is incomplete. Rows may be left out, and others added."
)
_SAVED_AS = {"Content-Disposition": {"description": "The name to save it under.", "schema": {"type": "string"}}}


class PriceBookQuerySchema(PageQuerySchema):
    """The query of the list of price books."""

    cursor = CursorField(_BOOKS)
    name = Text("Only versions of the book of this name.", longest=100, load_default=None, allow_none=False)
    currency = CurrencyField("Only books in this currency.", load_default=None, allow_none=False)
    activated = YesOrNo("Only books that were put in force, now, before or from a day to come; or only the others.")
    created_after = TimeField("Only books that were uploaded at this time or later.")
    created_before = TimeField("Only books that were uploaded before this time.")


def identity(book: PriceBookView) -> tuple[str, ...]:
    """What the ETag of a book stands for: what callers read of it changes with these only."""
    return "price_book", book.id, str(book.changes), book.state, str(book.used)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(PriceBookQuerySchema, location="query")
@blueprint.response(200, PriceBookPageSchema)
@blueprint.described(
    operationId="listPriceBooks",
    description="Your tenant's own. A quote is priced from the one in force in its currency, else from one in another "
    "currency at the rate that the quote names. Where none is in force, the installation's indicative book prices, "
    "and no quote can be issued. Sizings are always ranked by the installation's book, whose name stands in them.",
)
def get_price_books(query: dict[str, Any]) -> Any:
    """List the price books of your tenant, newest first, without their lines."""
    cursor, limit = query.pop("cursor"), query.pop("limit")
    found = list_price_books(runtime(), caller(), only=PriceBookFilter(**query), before_id=cursor, limit=limit + 1)
    return page(found, of=_BOOKS, limit=limit)


@blueprint.route("/template", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(
    200,
    {"type": "string", "description": "A heading and a row a part."},
    content_type=CSV_MEDIA_TYPE,
    description="The table.",
    headers=ETAG_DOC | _SAVED_AS,
)
@blueprint.described(operationId="getPriceBookTemplate", description=_TEMPLATE)
def get_template() -> Any:
    """Read a price book to fill in, as a table."""
    table = price_book_template(runtime())
    headers = {**tagged("price_book_template", table), "Content-Disposition": f'attachment; filename="{FILENAME}"'}
    return Response(table, mimetype=CSV_MEDIA_TYPE, headers=headers)


@blueprint.route("/<price_book_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, WholePriceBookSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getPriceBook")
def get_one_price_book(price_book_id: str) -> Any:
    """Read one version of a price book with its lines."""
    found = get_price_book(runtime(), caller(), price_book_id)
    return found, tagged(*identity(found))
