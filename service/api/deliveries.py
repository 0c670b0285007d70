"""/v1/webhooks/{webhook_id}/deliveries: what was sent, how it went, and the same once more."""

from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, idempotent
from service.edge.posting import PostedNow, created, created_doc
from service.planning.delivery.reading import get_delivery, list_deliveries, ping, replay
from service.planning.webhook_view import DeliveryView
from service.schemas.event import EVENTS
from service.schemas.page import CursorField, PageQuerySchema, page
from service.schemas.strict import Choice
from service.schemas.webhook import DeliveryPageSchema, DeliverySchema, WholeDeliverySchema
from service.store.deliveries import DeliveryFilter
from service.store.tables.webhooks import DeliveryStatus

blueprint = ResourceBlueprint(
    "webhook_deliveries",
    __name__,
    url_prefix="/v1/webhooks",
    permission=Permission.WEBHOOKS,
    description="What was sent to webhooks, and how it went.",
)
_DELIVERIES = "webhook-deliveries"
_PLACE = "/v1/webhooks"
_DELIVERY = DeliverySchema()


class DeliveryQuerySchema(PageQuerySchema):
    """The query of the list of deliveries."""

    cursor = CursorField(_DELIVERIES)
    status = Choice("Only deliveries of this status.", DeliveryStatus, load_default=None, allow_none=False)
    event = Choice("Only deliveries of events of this name.", EVENTS, load_default=None, allow_none=False)


def _identity(delivery: DeliveryView) -> tuple[str, ...]:
    moment = delivery.next_attempt_at or delivery.ended_at
    return "webhook_delivery", delivery.id, delivery.status, str(delivery.attempts), str(moment)


def _posting(webhook_id: str, making: Any) -> PostedNow[DeliveryView]:
    return PostedNow(
        making=making,
        reading=lambda delivery_id: get_delivery(runtime(), caller(), webhook_id, delivery_id),
        schema=_DELIVERY,
        place=f"{_PLACE}/{webhook_id}/deliveries",
        identity=_identity,
    )


@blueprint.route("/<webhook_id>/deliveries", methods=["GET"])
@blueprint.arguments(DeliveryQuerySchema, location="query")
@blueprint.response(200, DeliveryPageSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="listWebhookDeliveries")
def get_deliveries(query: dict[str, Any], webhook_id: str) -> Any:
    """List the deliveries to a webhook, newest first."""
    event = query["event"]
    only = DeliveryFilter(status=query["status"], event=None if event is None else event.value)
    found = list_deliveries(
        runtime(), caller(), webhook_id, only=only, before_id=query["cursor"], limit=query["limit"] + 1
    )
    return page(found, of=_DELIVERIES, limit=query["limit"])


@blueprint.route("/<webhook_id>/deliveries/<delivery_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, WholeDeliverySchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getWebhookDelivery")
def get_one_delivery(webhook_id: str, delivery_id: str) -> Any:
    """Read one delivery with what it sends."""
    found = get_delivery(runtime(), caller(), webhook_id, delivery_id)
    return found, tagged(*_identity(found))


@blueprint.route("/<webhook_id>/deliveries/<delivery_id>/replay", methods=["POST"])
@idempotent(blueprint)
@blueprint.response(201, DeliverySchema, description="It is on its way.", headers=created_doc(_PLACE))
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(
    operationId="replayWebhookDelivery",
    description="For administrators. A delivery of its own, of the same event: same id, same body, signed anew.",
    parameters=[IDEMPOTENCY_KEY],
)
def replay_delivery(webhook_id: str, delivery_id: str) -> Any:
    """Send an event once more that was delivered or given up."""
    return created(_posting(webhook_id, lambda once: replay(runtime(), caller(), webhook_id, delivery_id, once=once)))


@blueprint.route("/<webhook_id>/ping", methods=["POST"])
@idempotent(blueprint)
@blueprint.response(201, DeliverySchema, description="It is on its way.", headers=created_doc(_PLACE))
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="pingWebhook", parameters=[IDEMPOTENCY_KEY])
def ping_webhook(webhook_id: str) -> Any:
    """Send an event that says nothing, to see whether it arrives."""
    return created(_posting(webhook_id, lambda once: ping(runtime(), caller(), webhook_id, once=once)))
