"""/v1/quotes/{quote_id}/...: the steps that a seller takes with a quote, each over the version that was read."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from service.access import Permission
from service.api.quotes import answered, named_version
from service.edge.blueprint import Decorator, ResourceBlueprint, View
from service.edge.conditional import ETAG_DOC, documents_if_match
from service.edge.context import caller, request_id, runtime
from service.planning import quote_steps
from service.planning.quote_view import QuoteView
from service.planning.quotes import get_quote
from service.schemas.quotes import Acceptance, AcceptanceSchema, QuoteSchema, Reason, ReasonSchema

blueprint = ResourceBlueprint(
    "quote_steps",
    __name__,
    url_prefix="/v1/quotes",
    permission=Permission.QUOTES,
    description="The life of a quote.",
)
_SUBMIT = (
    "A draft waits for approval then. Where its discount tier needs none, it is approved at once, by nobody; the hash"
    " of what was approved is kept in either case."
)
_ISSUE = (
    "An approved quote is frozen, with the day of issue, and the revision that is out is superseded in the same "
    "moment. 409 while its prices are indicative or a part has none, after the end of its validity or of its price "
    "book, and when a revision of the number was accepted. It is screened by the export rules of today: where other "
    "rules match than those that were approved, it goes back to draft with that reason, and the answer is 409."
)
_ACCEPT = (
    "For a quote that is issued, until midnight ends its last day where its time zone says; then it is expired, and "
    "the answer is 409. So it is when another revision was issued since, or other export rules match than when it was"
    " issued."
)


def documented(blueprint: ResourceBlueprint, operation_id: str, description: str = "") -> Decorator:
    """Decorator of a step: its condition, its refusals, and the quote as it stands then."""

    def decorate(view: View) -> View:
        words: dict[str, Any] = {"description": description} if description else {}
        view = blueprint.response(200, QuoteSchema, headers=ETAG_DOC)(view)
        for status, name in ((404, "NOT_FOUND"), (409, "CONFLICT")):
            view = blueprint.alt_response(status, response=name)(view)
        return documents_if_match(blueprint)(blueprint.described(operationId=operation_id, **words)(view))

    return decorate


def step(take: Callable[..., QuoteView], quote_id: str, **values: Any) -> Any:
    """Take a step over the version that If-Match names."""
    version = named_version(get_quote(runtime(), caller(), quote_id))
    return answered(take(runtime(), caller(), quote_id, version=version, request_id=request_id(), **values))


@blueprint.route("/<quote_id>/submit", methods=["POST"])
@documented(blueprint, "submitQuote", _SUBMIT)
def submit_quote(quote_id: str) -> Any:
    """Submit a draft for approval."""
    return step(quote_steps.submit, quote_id)


@blueprint.route("/<quote_id>/issue", methods=["POST"])
@documented(blueprint, "issueQuote", _ISSUE)
def issue_quote(quote_id: str) -> Any:
    """Issue an approved quote: from now on it says what it says."""
    return step(quote_steps.issue, quote_id)


@blueprint.route("/<quote_id>/accept", methods=["POST"])
@blueprint.arguments(AcceptanceSchema)
@documented(blueprint, "acceptQuote", _ACCEPT)
def accept_quote(acceptance: Acceptance, quote_id: str) -> Any:
    """Note that the customer has accepted an issued quote."""
    return step(quote_steps.accept, quote_id, acceptance=asdict(acceptance))


@blueprint.route("/<quote_id>/decline", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@documented(blueprint, "declineQuote")
def decline_quote(reason: Reason, quote_id: str) -> Any:
    """Note that the customer has declined an issued quote."""
    return step(quote_steps.decline, quote_id, reason=reason.reason)


@blueprint.route("/<quote_id>/withdraw", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@documented(blueprint, "withdrawQuote")
def withdraw_quote(reason: Reason, quote_id: str) -> Any:
    """Take a quote back, at any time before it is accepted."""
    return step(quote_steps.withdraw, quote_id, reason=reason.reason)
