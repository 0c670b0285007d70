"""/v1/price-books: an administrator uploads a price book, as JSON or as a table, and puts it in force."""

from typing import Any

from service.access import Permission
from service.api.price_books import identity
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_if_match, entity_tag, if_match
from service.edge.context import caller, request_id, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, idempotent
from service.edge.posting import PostedNow, created, created_doc
from service.edge.price_book import PriceBookUploadSchema
from service.edge.tables import CSV_MEDIA_TYPE
from service.planning.price_book_view import PriceBookView
from service.planning.price_books import activate, get_price_book, upload
from service.schemas.price_books import (
    Activation,
    ActivationSchema,
    PriceBookRequest,
    UploadedPriceBookSchema,
    WholePriceBookSchema,
)
from service.schemas.price_table import COLUMNS

blueprint = ResourceBlueprint(
    "price_book_changes",
    __name__,
    url_prefix="/v1/price-books",
    permission=Permission.PRICE_BOOK_CHANGES,
    description="Prices are uploaded and put in force.",
)
_PLACE = "/v1/price-books"
_UPLOAD = (
    "For administrators. All of it is stored, or nothing: each row that cannot be is named in `errors` as lines.N, "
    "counted from 0, and by its row where it is a table. A price of another unit than the bill of materials counts, or "
    "of another kind of part, is refused; a part that no bill of materials names is stored with a word in `warnings`. "
    "It makes the next version of the book of that name, which prices nothing until it is activated. A "
    f"table (text/csv in UTF-8; commas, semicolons or tabs) names its columns in the first row: {', '.join(COLUMNS)}; "
    "the first three must be there, an empty cell is a field that is not given, rows without anything are not counted. "
    "What a table has no place for stands in the query. GET /v1/price-books/template is a table to fill in."
)
_ACTIVATE = (
    "For administrators. The book prices quotes from that day on, until another one in the same currency does or its "
    "last day is over. Until a quote is priced from it, it may be activated for another day; then nothing about it "
    "changes any more: 409. The same day again changes nothing."
)
_TABLE = {
    "content": {
        CSV_MEDIA_TYPE: {
            "schema": {"type": "string"},
            "examples": {
                "table": {
                    "value": "part,kind,unit,list_price,sku,lead_time_weeks\n"
                    "poweredge-xe9680l-b200,server,piece,400000.00,EXAMPLE-1,12\n"
                }
            },
        }
    }
}


def _in_query(name: str, what: str, **schema: Any) -> dict[str, Any]:
    return {"in": "query", "name": name, "description": f"Beside a table: {what}", "schema": schema}


_HEAD = (
    _in_query("name", "the name of the book; it must be there.", type="string", minLength=1, maxLength=100),
    _in_query("currency", "the currency of its prices; it must be there.", type="string", minLength=3, maxLength=3),
    _in_query("date", "as of which day they are; it must be there.", type="string", format="date"),
    _in_query("expires_on", "the last day on which it prices anything.", type="string", format="date"),
    _in_query("indicative", "whether they are orders of magnitude.", type="string", enum=["true", "false"]),
    _in_query("note", "what to know about it.", type="string", maxLength=400),
)


@blueprint.route("", methods=["POST"])
@idempotent(blueprint)
@blueprint.arguments(PriceBookUploadSchema)
@blueprint.response(201, UploadedPriceBookSchema, description="The book is stored.", headers=created_doc(_PLACE))
@blueprint.described(
    operationId="postPriceBook", description=_UPLOAD, parameters=[IDEMPOTENCY_KEY, *_HEAD], requestBody=_TABLE
)
def post_price_book(book: PriceBookRequest) -> Any:
    """Upload a price book."""
    posting: PostedNow[PriceBookView] = PostedNow(
        making=lambda once: upload(runtime(), caller(), book, request_id=request_id(), once=once),
        reading=lambda book_id: get_price_book(runtime(), caller(), book_id),
        schema=_UPLOADED,
        place=_PLACE,
        identity=identity,
    )
    return created(posting)


@blueprint.route("/<price_book_id>/activate", methods=["POST"])
@documents_if_match(blueprint)
@blueprint.arguments(ActivationSchema)
@blueprint.response(200, WholePriceBookSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(operationId="activatePriceBook", description=_ACTIVATE)
def activate_price_book(activation: Activation, price_book_id: str) -> Any:
    """Put a price book in force from a day on."""
    read = get_price_book(runtime(), caller(), price_book_id)
    changes = read.changes if if_match().names(entity_tag(*identity(read))) else None
    book = activate(
        runtime(),
        caller(),
        price_book_id,
        effective_from=activation.effective_from,
        changes=changes,
        request_id=request_id(),
    )
    return book, {"ETag": f'"{entity_tag(*identity(book))}"'}


_UPLOADED = UploadedPriceBookSchema()
