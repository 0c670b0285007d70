"""/admin/webhooks: where events are sent is made, changed, tried and stopped; what was sent is told, and sent again."""

from collections.abc import Mapping
from typing import Any

from flask import Response, redirect, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint, shown_once
from service.errors import ConflictError, FieldError, InvalidRequestError, NotFoundError, PreconditionFailedError
from service.planning import webhook_changes
from service.planning.delivery.reading import list_deliveries, ping, replay
from service.planning.webhook_changes import get_webhook, list_webhooks
from service.planning.webhook_view import WebhookView
from service.schemas.event import SUBSCRIBABLE
from service.schemas.issue import field_errors
from service.schemas.webhook import RotationRequestSchema, WebhookRequest, WebhookRequestSchema
from service.store.deliveries import DeliveryFilter
from service.store.tables.webhooks import DeliveryStatus, WebhookState
from service.web.quote_writing import number_of
from service.web.rendering import page

blueprint = PageBlueprint("hooks", __name__, permission=Permission.WEBHOOKS)

_PER_PAGE = 50
_WEBHOOK, _ROTATION = WebhookRequestSchema(), RotationRequestSchema()
_SWITCHES = ("enable", "disable")
_REFUSALS = (ConflictError, PreconditionFailedError)
Errors = Mapping[str, list[FieldError]]


@blueprint.get("/admin/webhooks")
def show_webhooks() -> Response:
    """The webhooks of the tenant, and a form for another one."""
    return _webhooks()


def _webhooks(*, errors: Errors | None = None, status: int = 200) -> Response:
    return page(
        "admin_webhooks.html",
        status=status,
        webhooks=list_webhooks(runtime(), caller(), state=None),
        events=_events(),
        errors=errors or {},
        typed=request.form.to_dict(),
        chosen=request.form.getlist("events"),
    )


def _events() -> tuple[str, ...]:
    return tuple(str(one) for one in SUBSCRIBABLE)


@blueprint.post("/admin/webhooks")
def add_webhook() -> Response:
    """A new webhook; the secret that its events are signed with is told on the next page, and never again."""
    try:
        made = webhook_changes.create(runtime(), caller(), _read(enabled=True), request_id=request_id())
    except (InvalidRequestError, ConflictError) as error:
        return _webhooks(errors=_by_field(error), status=422)
    return shown_once(_page(made, secret=made.secret))


@blueprint.get("/admin/webhooks/<webhook_id>")
def show_webhook(webhook_id: str) -> Response:
    """One webhook: what it hears of, and what was sent to it."""
    return _page(get_webhook(runtime(), caller(), webhook_id))


def _page(
    webhook: WebhookView,
    *,
    secret: str | None = None,
    problem: str | None = None,
    errors: Errors | None = None,
    status: int = 200,
) -> Response:
    asked = next((one for one in DeliveryStatus if one.value == request.args.get("status")), None)
    before = request.args.get("before")
    only = DeliveryFilter(status=asked)
    found = list_deliveries(runtime(), caller(), webhook.id, only=only, before_id=before, limit=_PER_PAGE + 1)
    refused = bool(errors)
    return page(
        "admin_webhook.html",
        status=status,
        webhook=webhook,
        active=webhook.state is WebhookState.ACTIVE,
        secret=secret,
        problem=problem,
        errors=errors or {},
        events=_events(),
        typed=request.form.to_dict() if refused else {"url": webhook.url, "name": webhook.name or ""},
        chosen=request.form.getlist("events") if refused else webhook.events,
        deliveries=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None,
        statuses=tuple(DeliveryStatus),
        asked="" if asked is None else asked.value,
    )


@blueprint.post("/admin/webhooks/<webhook_id>")
def change_webhook(webhook_id: str) -> AnyResponse:
    """Write a webhook anew over the version that was read."""
    webhook = get_webhook(runtime(), caller(), webhook_id)
    try:
        asked = _read(enabled=webhook.state is WebhookState.ACTIVE)
        _changed(webhook_id, asked)
    except InvalidRequestError as error:
        return _page(webhook, errors=_by_field(error), status=422)
    except _REFUSALS as error:
        return _page(webhook, problem=error.message, status=409)
    return redirect(f"/admin/webhooks/{webhook_id}", code=303)


@blueprint.post("/admin/webhooks/<webhook_id>/<step>")
def take(webhook_id: str, step: str) -> AnyResponse:
    """Enable, disable, ping or delete a webhook, or give it another secret, which is told once."""
    webhook = get_webhook(runtime(), caller(), webhook_id)
    try:
        if step == "rotate":
            return _rotated(webhook_id)
        if step == "ping":
            ping(runtime(), caller(), webhook_id)
        elif step == "delete":
            webhook_changes.delete(runtime(), caller(), webhook_id, version=_version(), request_id=request_id())
            return redirect("/admin/webhooks", code=303)
        elif step in _SWITCHES:
            asked = WebhookRequest(
                name=webhook.name, url=webhook.url, events=webhook.events, enabled=step == _SWITCHES[0]
            )
            _changed(webhook_id, asked)
        else:
            raise NotFoundError(f"There is no step {step[:64]!r}.")
    except (InvalidRequestError, *_REFUSALS) as error:
        return _page(get_webhook(runtime(), caller(), webhook_id), problem=error.message, status=409)
    return redirect(f"/admin/webhooks/{webhook_id}", code=303)


@blueprint.post("/admin/webhooks/<webhook_id>/deliveries/<delivery_id>/replay")
def send_again(webhook_id: str, delivery_id: str) -> AnyResponse:
    """The same event once more, as a delivery of its own."""
    try:
        replay(runtime(), caller(), webhook_id, delivery_id)
    except ConflictError as error:
        return _page(get_webhook(runtime(), caller(), webhook_id), problem=error.message, status=409)
    return redirect(f"/admin/webhooks/{webhook_id}", code=303)


def _rotated(webhook_id: str) -> Response:
    text = request.form.get("old_valid_h", "").strip()
    try:
        asked = _ROTATION.load({"old_valid_h": float(text)} if text else {})
    except (ValueError, ValidationError):
        raise InvalidRequestError("Say for how many hours the secret of before stays valid: 0 to 168.") from None
    made = webhook_changes.rotate(
        runtime(),
        caller(),
        webhook_id,
        old_valid_h=asked.old_valid_h,
        version=_version(),
        request_id=request_id(),
    )
    return shown_once(_page(made, secret=made.secret))


def _changed(webhook_id: str, asked: WebhookRequest) -> None:
    webhook_changes.change(runtime(), caller(), webhook_id, asked, version=_version(), request_id=request_id())


def _version() -> int:
    return number_of(request.form.get("version", "0"))


def _read(*, enabled: bool) -> WebhookRequest:
    body: dict[str, Any] = {
        "name": request.form.get("name", "").strip() or None,
        "url": request.form.get("url", "").strip(),
        "events": request.form.getlist("events"),
        "enabled": enabled,
    }
    try:
        loaded: WebhookRequest = _WEBHOOK.load(body)
    except ValidationError as error:
        errors = field_errors(error.messages)
        raise InvalidRequestError(errors[0].message, errors=errors) from error
    return loaded


def _by_field(error: InvalidRequestError | ConflictError) -> dict[str, list[FieldError]]:
    found: dict[str, list[FieldError]] = {}
    for one in error.detail.errors or (FieldError(field="", message=error.message),):
        found.setdefault(one.field.partition(".")[0], []).append(one)
    return found
