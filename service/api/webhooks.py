"""/v1/webhooks: where a tenant hears of what happens, for its administrators."""

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from service.access import Permission
from service.edge.answers import without_content
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, documents_if_match, entity_tag, if_match, tagged
from service.edge.context import caller, request_id, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, idempotent
from service.edge.posting import PostedNow, created, created_doc
from service.planning.webhook_changes import MOST, change, create, delete, get_webhook, list_webhooks, rotate
from service.planning.webhook_view import WebhookView
from service.schemas.page import CursorField, PageQuerySchema, page
from service.schemas.strict import Choice
from service.schemas.webhook import (
    NewWebhookSchema,
    RotationRequest,
    RotationRequestSchema,
    WebhookPageSchema,
    WebhookRequest,
    WebhookRequestSchema,
    WebhookSchema,
)
from service.store.tables.webhooks import WebhookState

blueprint = ResourceBlueprint(
    "webhooks",
    __name__,
    url_prefix="/v1/webhooks",
    permission=Permission.WEBHOOKS,
    description="Where your tenant hears of what happens.",
)
_PLACE = "/v1/webhooks"
_WEBHOOKS = "webhooks"
_NEW = NewWebhookSchema()
_CREATE = (
    "For administrators. Each event is a POST of JSON: id, event, created_at, subject (kind, id, href) and data, "
    "which says how something ended or stands, and nothing of what was asked or what it costs. `Headroom-Signature` is "
    "t=<seconds since 1970>,v1=<HMAC-SHA256 in hexadecimal> over that time, a full stop and the raw body, with the "
    "whole secret as key; a second v1 stands there while the secret of before is valid. Any 2xx within 5 s takes the "
    "event; redirects are not followed. What is not taken is sent again, later each time, until it is given up; a "
    "webhook that takes nothing for that long, or answers 410, is disabled. An event may come twice, with the same id "
    f"and body, and not in order. It hears of what happens from a second after this answer on. At most {MOST} a tenant."
    " A request that is sent again under its Idempotency-Key gets the first answer with `secret` null, for the secret "
    "is kept nowhere but where it signs: if the first answer was lost, rotate it."
)
_CHANGE = "For administrators. All of it is written anew; enabled again, a webhook begins as if it had never failed."
_ROTATE = (
    "For administrators. The answer shows the new secret, once; the old one signs beside it for old_valid_h hours."
)


class WebhookQuerySchema(PageQuerySchema):
    """The query of the list of webhooks."""

    cursor = CursorField(_WEBHOOKS)
    state = Choice(
        "Only webhooks in this state.",
        (WebhookState.ACTIVE, WebhookState.DISABLED),
        load_default=None,
        allow_none=False,
    )


def identity(webhook: WebhookView) -> tuple[str, ...]:
    """What the ETag of a webhook stands for: what callers read of it changes with these only."""
    failing = "" if webhook.failing_since is None else webhook.failing_since.isoformat()
    return "webhook", webhook.id, str(webhook.version), failing


def _tag(webhook: WebhookView) -> dict[str, str]:
    return {"ETag": f'"{entity_tag(*identity(webhook))}"'}


def _named_version(webhook_id: str) -> int | None:
    """The version that If-Match names; None for any."""
    found = get_webhook(runtime(), caller(), webhook_id)
    return found.version if if_match().names(entity_tag(*identity(found))) else None


@blueprint.route("", methods=["POST"])
@idempotent(blueprint)
@blueprint.arguments(WebhookRequestSchema)
@blueprint.response(201, NewWebhookSchema, description="The webhook listens.", headers=created_doc(_PLACE))
@blueprint.described(operationId="postWebhook", description=_CREATE, parameters=[IDEMPOTENCY_KEY])
def post_webhook(webhook: WebhookRequest) -> Any:
    """Make a webhook; its secret is shown in this answer only."""
    posting: PostedNow[WebhookView] = PostedNow(
        making=lambda once: create(runtime(), caller(), webhook, request_id=request_id(), once=once),
        reading=lambda webhook_id: get_webhook(runtime(), caller(), webhook_id),
        schema=_NEW,
        place=_PLACE,
        identity=identity,
        kept=lambda made: replace(made, secret=None),
    )
    return created(posting)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(WebhookQuerySchema, location="query")
@blueprint.response(200, WebhookPageSchema)
@blueprint.described(operationId="listWebhooks")
def get_webhooks(query: dict[str, Any]) -> Any:
    """List your tenant's webhooks, newest first."""
    found = list_webhooks(
        runtime(), caller(), state=query["state"], before_id=query["cursor"], limit=query["limit"] + 1
    )
    return page(found, of=_WEBHOOKS, limit=query["limit"])


@blueprint.route("/<webhook_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, WebhookSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getWebhook")
def get_one_webhook(webhook_id: str) -> Any:
    """Read one webhook."""
    found = get_webhook(runtime(), caller(), webhook_id)
    return found, tagged(*identity(found))


@blueprint.route("/<webhook_id>", methods=["PUT"])
@documents_if_match(blueprint)
@blueprint.arguments(WebhookRequestSchema)
@blueprint.response(200, WebhookSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="putWebhook", description=_CHANGE)
def put_webhook(webhook: WebhookRequest, webhook_id: str) -> Any:
    """Change a webhook, disable it or enable it again."""
    version = _named_version(webhook_id)
    changed = change(runtime(), caller(), webhook_id, webhook, version=version, request_id=request_id())
    return changed, _tag(changed)


@blueprint.route("/<webhook_id>", methods=["DELETE"])
@documents_if_match(blueprint)
@blueprint.response(204, description="Nothing is sent there any more.")
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="deleteWebhook")
def delete_webhook(webhook_id: str) -> Any:
    """Delete a webhook; what was on its way is given up."""
    delete(runtime(), caller(), webhook_id, version=_named_version(webhook_id), request_id=request_id())
    return without_content(HTTPStatus.NO_CONTENT)


@blueprint.route("/<webhook_id>/rotate", methods=["POST"])
@documents_if_match(blueprint)
@blueprint.arguments(RotationRequestSchema)
@blueprint.response(200, NewWebhookSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="rotateWebhookSecret", description=_ROTATE)
def rotate_secret(rotation: RotationRequest, webhook_id: str) -> Any:
    """Give a webhook another secret, shown in this answer only."""
    version = _named_version(webhook_id)
    rotated = rotate(
        runtime(),
        caller(),
        webhook_id,
        old_valid_h=rotation.old_valid_h,
        version=version,
        request_id=request_id(),
    )
    return rotated, _tag(rotated)
