"""/v1/quotes/{quote_id}/approve and reject: somebody who wrote no part of a quote decides on its discount."""

from typing import Any

from service.access import Permission
from service.api.quote_steps import documented, step
from service.edge.blueprint import ResourceBlueprint
from service.planning import quote_steps
from service.schemas.quotes import Reason, ReasonSchema

blueprint = ResourceBlueprint(
    "quote_approvals",
    __name__,
    url_prefix="/v1/quotes",
    permission=Permission.QUOTE_APPROVALS,
    description="Discounts are approved.",
)
_APPROVE = (
    "For approvers and administrators, as the tier of the quote asks (`approval.approvers`), and never for who wrote "
    "any part of any revision of its number: 403. The approval is of what the quote says, by its hash; any change of "
    "that makes it void."
)


@blueprint.route("/<quote_id>/approve", methods=["POST"])
@documented(blueprint, "approveQuote", _APPROVE)
def approve_quote(quote_id: str) -> Any:
    """Approve a quote that waits for it."""
    return step(quote_steps.approve, quote_id)


@blueprint.route("/<quote_id>/reject", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@documented(blueprint, "rejectQuote")
def reject_quote(reason: Reason, quote_id: str) -> Any:
    """Send a quote that waits for approval back to be written."""
    return step(quote_steps.reject, quote_id, reason=reason.reason)
