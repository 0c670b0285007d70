"""/v1/quotes/{quote_id}: its next revision, all of its revisions, and what changed between two."""

from typing import Any

from flask import request

from service.access import Permission
from service.api.quotes import PLACE, QUOTE, identity, named_version
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, documents_if_match, tagged
from service.edge.context import caller, request_id, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, idempotent
from service.edge.posting import PostedNow, created, created_doc
from service.planning.idempotency import Once
from service.planning.quote_difference import quote_difference
from service.planning.quote_revise import revise
from service.planning.quote_view import QuoteView
from service.planning.quotes import get_quote, list_revisions
from service.schemas.page import CursorField, PageQuerySchema, ordinal, page
from service.schemas.quote_revision import RevisionRequest, RevisionRequestSchema
from service.schemas.quotes import QuoteDifferenceSchema, QuotePageSchema, QuoteSchema

blueprint = ResourceBlueprint(
    "quote_revisions",
    __name__,
    url_prefix="/v1/quotes",
    permission=Permission.QUOTES,
    description="What a quote said before, and says next.",
)
_REVISIONS = "quote-revisions"
_REVISE = (
    "Makes a draft of the same number, with what the old revision asked, the price book of today and the newest "
    "answer to the workload; discounts and counts of parts that it does not take any more are left out. The old "
    "revision stays out until the new one is issued, which supersedes it. For the newest revision of a number, once "
    "it was issued, has expired, or was declined or withdrawn; 409 for others."
)


class QuoteRevisionQuerySchema(PageQuerySchema):
    """The query of the list of revisions."""

    cursor = CursorField(_REVISIONS, read=ordinal)


@blueprint.route("/<quote_id>/revise", methods=["POST"])
@idempotent(blueprint)
@documents_if_match(blueprint)
@blueprint.arguments(RevisionRequestSchema)
@blueprint.response(201, QuoteSchema, description="The draft is stored.", headers=created_doc(PLACE))
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="reviseQuote", description=_REVISE, parameters=[IDEMPOTENCY_KEY])
def revise_quote(revision_request: RevisionRequest, quote_id: str) -> Any:
    """Write the next revision of a quote: a draft."""

    def make(once: Once[QuoteView] | None) -> QuoteView:
        # In here, so that a request that is sent again gets its first answer, whatever became of the old revision.
        version = named_version(get_quote(runtime(), caller(), quote_id))
        return revise(
            runtime(), caller(), quote_id, revision_request, version=version, request_id=request_id(), once=once
        )

    posting: PostedNow[QuoteView] = PostedNow(
        making=make,
        reading=lambda made_id: get_quote(runtime(), caller(), made_id),
        schema=QUOTE,
        place=PLACE,
        identity=identity,
    )
    return created(posting)


@blueprint.route("/<quote_id>/revisions", methods=["GET"])
@blueprint.arguments(QuoteRevisionQuerySchema, location="query")
@blueprint.response(200, QuotePageSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="listQuoteRevisions")
def get_revisions(query: dict[str, Any], quote_id: str) -> Any:
    """List the revisions of a quote's number, newest first."""
    found = list_revisions(runtime(), caller(), quote_id, before=query["cursor"], limit=query["limit"] + 1)
    return page(found, of=_REVISIONS, limit=query["limit"], id_of="revision")


@blueprint.route("/<quote_id>/diff/<other_quote_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, QuoteDifferenceSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(operationId="getQuoteDifference")
def get_difference(quote_id: str, other_quote_id: str) -> Any:
    """Read what changed from one revision of a quote to another, line by line, and why."""
    found = quote_difference(runtime(), caller(), quote_id, other_id=other_quote_id)
    return found, tagged(found.old_sha256, found.new_sha256, request.path)
