"""/v1/quotes: a quote is written from a run's option, read, listed, and written anew."""

from typing import Any

from flask import Response
from werkzeug.exceptions import MethodNotAllowed

from service.access import Permission
from service.edge.answers import MEDIA_TYPE
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, documents_if_match, entity_tag, if_match, tagged
from service.edge.context import caller, request_id, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, idempotent
from service.edge.posting import PostedNow, created, created_doc
from service.errors import FieldError, InvalidRequestError
from service.planning.quote_risk import DAYS_AHEAD, list_at_risk
from service.planning.quote_view import QuoteView
from service.planning.quotes import create, get_quote, list_quotes, rewrite
from service.schemas.page import CursorField, PageQuerySchema, page
from service.schemas.query import DaysField, TimeField, YesOrNo
from service.schemas.quote import QuoteDocumentSchema
from service.schemas.quote_request import QuoteRequest, QuoteRequestSchema
from service.schemas.quotes import QuotePageSchema, QuoteSchema
from service.schemas.strict import Choice, Text
from service.store.filters import QuoteFilter
from service.store.tables.quotes import QuoteState

blueprint = ResourceBlueprint(
    "quotes",
    __name__,
    url_prefix="/v1/quotes",
    permission=Permission.QUOTES,
    description="From an option to what a customer signs.",
)
PLACE = "/v1/quotes"
_QUOTES = "quotes"
_WRITTEN_FORMS = (".json", ".pdf", ".xlsx", ".csv")
QUOTE = QuoteSchema()
_POST = (
    "Counts the parts of the option, prices them from your price book in force (from the installation's indicative "
    "one where you have none: such a quote says INDICATIVE everywhere and cannot be issued), screens it by the export"
    " rules of today, and stores a draft under a number that is never given out again. A part without a price makes "
    "it incomplete, and is named; it is never zero. 404 for a run or a price book that is not yours, 409 for a run "
    "that is not done or in which nothing fits."
)
_PUT = (
    "Writes a revision anew, all of it, with the prices, the rules and the screening of today. One that waits for "
    "approval, or has it, is a draft again and its approval void, unless what it says is the same to the byte. One "
    "that was issued changes no more: 409, and revise makes its next revision."
)
_LIST = (
    "`at_risk=true` lists live quotes (those that are being written, and issued ones) whose workload was sized again "
    "with another answer, whose price book was replaced or ends within `within_days` (14 unless given), or whose "
    "validity ends within as many days, each with its reasons; it goes with none of the other filters."
)


class QuoteQuerySchema(PageQuerySchema):
    """The query of the list of quotes."""

    cursor = CursorField(_QUOTES)
    state = Choice("Only revisions in this state.", QuoteState, load_default=None, allow_none=False)
    number = Text("Only revisions of this number.", longest=20, load_default=None, allow_none=False)
    run_id = Text("Only quotes from this run.", longest=64, load_default=None, allow_none=False)
    customer = Text("Only quotes for exactly this customer.", load_default=None, allow_none=False)
    at_risk = YesOrNo("Only live quotes that may not hold, with the reasons.")
    within_days = DaysField("How far ahead to look, in days; with at_risk.", most=366)
    created_after = TimeField("Only revisions that were made at this time or later.")
    created_before = TimeField("Only revisions that were made before this time.")


def identity(quote: QuoteView) -> tuple[str, ...]:
    """What the ETag of a quote stands for: what callers read of it changes with these only."""
    return "quote", quote.id, str(quote.version), quote.state


def named_version(quote: QuoteView) -> int | None:
    """The version that If-Match names; None for any."""
    return quote.version if if_match().names(entity_tag(*identity(quote))) else None


def answered(quote: QuoteView) -> tuple[QuoteView, dict[str, str]]:
    """A quote that was just changed, with its tag."""
    return quote, {"ETag": f'"{entity_tag(*identity(quote))}"'}


@blueprint.route("", methods=["POST"])
@idempotent(blueprint)
@blueprint.arguments(QuoteRequestSchema)
@blueprint.response(201, QuoteSchema, description="The draft is stored.", headers=created_doc(PLACE))
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="postQuote", description=_POST, parameters=[IDEMPOTENCY_KEY])
def post_quote(quote_request: QuoteRequest) -> Any:
    """Write a quote from an option of a run: a draft."""
    posting: PostedNow[QuoteView] = PostedNow(
        making=lambda once: create(runtime(), caller(), quote_request, request_id=request_id(), once=once),
        reading=lambda quote_id: get_quote(runtime(), caller(), quote_id),
        schema=QUOTE,
        place=PLACE,
        identity=identity,
    )
    return created(posting)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(QuoteQuerySchema, location="query")
@blueprint.response(200, QuotePageSchema)
@blueprint.described(operationId="listQuotes", description=_LIST)
def get_quotes(query: dict[str, Any]) -> Any:
    """List the quotes of your tenant, newest first, without what they say."""
    cursor, limit, at_risk, within = (query.pop(name) for name in ("cursor", "limit", "at_risk", "within_days"))
    if not at_risk:
        if within is not None:
            raise _wrong("within_days", "Goes with at_risk=true.")
        found = list_quotes(runtime(), caller(), only=QuoteFilter(**query), before_id=cursor, limit=limit + 1)
        return page(found, of=_QUOTES, limit=limit)
    for name, value in query.items():
        if value is not None:
            raise _wrong(name, "Does not go with at_risk=true.")
    days = DAYS_AHEAD if within is None else within
    risky = list_at_risk(runtime(), caller(), within_days=days, before_id=cursor, limit=limit + 1)
    return page(risky, of=_QUOTES, limit=limit)


@blueprint.route("/<quote_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, QuoteSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getQuote")
def get_one_quote(quote_id: str) -> Any:
    """Read one revision of a quote: what was asked, what it says, and how it stands."""
    found = get_quote(runtime(), caller(), quote_id)
    return found, tagged(*identity(found))


@blueprint.route("/<quote_id>", methods=["PUT"])
@documents_if_match(blueprint)
@blueprint.arguments(QuoteRequestSchema)
@blueprint.response(200, QuoteSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(operationId="putQuote", description=_PUT)
def put_quote(quote_request: QuoteRequest, quote_id: str) -> Any:
    """Write a draft anew."""
    if quote_id.endswith(_WRITTEN_FORMS):
        # What a quote says is read under such a path, and never written.
        raise MethodNotAllowed
    version = named_version(get_quote(runtime(), caller(), quote_id))
    return answered(rewrite(runtime(), caller(), quote_id, quote_request, version=version, request_id=request_id()))


@blueprint.route("/<quote_id>.json", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, QuoteDocumentSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(
    operationId="getQuoteJson",
    description="Canonical JSON: the bytes whose SHA-256 the quote names, and every document of it is made from.",
)
def get_quote_json(quote_id: str) -> Any:
    """Read what a revision says, to the byte."""
    found = get_quote(runtime(), caller(), quote_id)
    headers = tagged("quote_json", found.id, found.sha256)
    return Response(found.snapshot, mimetype=MEDIA_TYPE, headers=headers)


def _wrong(name: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(f"{name}: {message}", errors=(FieldError(field=name, message=message),))
