"""Webhooks of a tenant: made, read, changed, given another secret, deleted; each change is audited."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, FieldError, InvalidRequestError, NotFoundError, PreconditionFailedError
from service.outbound import RefusedError, UnsentError
from service.planning.audit import Action, Change, author_of, record
from service.planning.delivery.signing import new_secret
from service.planning.idempotency import Once, claimed, taken
from service.planning.transact import read, transact
from service.planning.webhook_view import WebhookView, webhook_view
from service.runtime import Runtime
from service.schemas.webhook import WebhookRequest
from service.store import deliveries, webhooks
from service.store.ids import new_id
from service.store.tables.webhooks import WebhookRow, WebhookState

log = structlog.get_logger(__name__)

MOST = 20
_BY_HAND = "An administrator disabled it."
# What a webhook is that was never tried.
_FRESH: dict[str, Any] = {
    "failures": 0,
    "failing_since": None,
    "resume_at": None,
    "disabled_at": None,
    "disabled_reason": None,
}


def create(
    runtime: Runtime,
    caller: Caller,
    request: WebhookRequest,
    *,
    request_id: str,
    once: Once[WebhookView] | None = None,
) -> WebhookView:
    """A webhook with a secret that is told here and never again.

    With `once` only where its key is new, else KeyInProgressError, and nothing is written. InvalidRequestError for an
    address that may not be called, ConflictError for one webhook too many.
    """
    _check_url(runtime, request.url)
    now, secret = runtime.clock(), new_secret()

    def work(session: Session) -> WebhookView:
        row = WebhookRow(
            id=new_id("whk", now),
            tenant_id=caller.tenant_id,
            version=1,
            secret=secret,
            principal=caller.principal,
            created_at=now,
            changed_at=now,
            **_asked(request, now=now, was_active=True),
        )
        view = webhook_view(row, secret=secret)
        if once is not None and not claimed(
            session, runtime, caller.tenant_id, once, once.answer(view), resource_id=row.id, now=now
        ):
            raise taken(once)
        if webhooks.count(session, caller.tenant_id) >= MOST:
            raise ConflictError(f"A tenant has at most {MOST} webhooks; delete one, or subscribe one to more events.")
        webhooks.add(session, row)
        record(session, (author_of(caller, request_id), _change(Action.WEBHOOK_CREATED, row, None, now=now)))
        return view

    view = transact(runtime, work)
    _changed(runtime, caller, view.id)
    return view


def change(
    runtime: Runtime, caller: Caller, webhook_id: str, request: WebhookRequest, *, version: int | None, request_id: str
) -> WebhookView:
    """The webhook as asked, over the version that was read (None: whatever is there).

    Enabled again it begins anew; disabled, what was on its way is given up. Raises NotFoundError,
    PreconditionFailedError for another version, InvalidRequestError for an address that may not be called.
    """
    _check_url(runtime, request.url)
    now = runtime.clock()

    def work(session: Session) -> WebhookView:
        row = _held(session, caller, webhook_id, version=version)
        if (row.name, row.url, tuple(row.events), row.state == WebhookState.ACTIVE) == (
            request.name,
            request.url,
            request.events,
            request.enabled,
        ):
            return webhook_view(row)
        old = _state_of(row)
        was_active = row.state == WebhookState.ACTIVE
        webhooks.change(session, row, now=now, **_asked(request, now=now, was_active=was_active))
        if was_active and not request.enabled:
            deliveries.give_up_all(session, row.id, error="webhook_disabled", now=now)
        record(session, (author_of(caller, request_id), _change(Action.WEBHOOK_CHANGED, row, old, now=now)))
        return webhook_view(row)

    view = transact(runtime, work)
    _changed(runtime, caller, webhook_id)
    return view


def rotate(
    runtime: Runtime, caller: Caller, webhook_id: str, *, old_valid_h: float, version: int | None, request_id: str
) -> WebhookView:
    """Another secret, told here and never again; the one of before signs beside it for so many hours."""
    now, secret = runtime.clock(), new_secret()

    def work(session: Session) -> WebhookView:
        row = _held(session, caller, webhook_id, version=version)
        old = _state_of(row)
        kept = old_valid_h > 0
        webhooks.change(
            session,
            row,
            now=now,
            old_secret=row.secret if kept else None,
            old_secret_until=now + timedelta(hours=old_valid_h) if kept else None,
            secret=secret,
        )
        record(session, (author_of(caller, request_id), _change(Action.WEBHOOK_ROTATED, row, old, now=now)))
        return webhook_view(row, secret=secret)

    view = transact(runtime, work)
    log.info("webhook_rotated", resource_id=webhook_id, tenant_id=caller.tenant_id)
    return view


def delete(runtime: Runtime, caller: Caller, webhook_id: str, *, version: int | None, request_id: str) -> None:
    """Nothing is sent there any more, and it is seen no more. Its secrets are forgotten."""
    now = runtime.clock()

    def work(session: Session) -> None:
        row = _held(session, caller, webhook_id, version=version)
        old = _state_of(row)
        gone = {"secret": "", "old_secret": None, "old_secret_until": None}
        webhooks.change(session, row, now=now, state=WebhookState.DELETED.value, **gone)
        deliveries.give_up_all(session, row.id, error="webhook_deleted", now=now)
        record(session, (author_of(caller, request_id), _change(Action.WEBHOOK_DELETED, row, old, now=now)))

    transact(runtime, work)
    _changed(runtime, caller, webhook_id)


def get_webhook(runtime: Runtime, caller: Caller, webhook_id: str) -> WebhookView:
    """The webhook; NotFoundError when the caller's tenant has none of that id."""
    row = read(runtime, lambda session: webhooks.get(session, caller.tenant_id, webhook_id))
    if row is None:
        raise no_webhook(webhook_id)
    return webhook_view(row)


def list_webhooks(
    runtime: Runtime, caller: Caller, *, state: WebhookState | None, before_id: str | None = None, limit: int = 50
) -> tuple[WebhookView, ...]:
    """The tenant's webhooks, newest first; `before_id` is the last id of the page before."""
    rows = read(
        runtime,
        lambda session: webhooks.newest(session, caller.tenant_id, state=state, before_id=before_id, limit=limit),
    )
    return tuple(webhook_view(row) for row in rows)


def no_webhook(webhook_id: str) -> NotFoundError:
    """What is said of an id that the tenant has no webhook of."""
    return NotFoundError(f"There is no webhook {webhook_id[:64]!r}.")


def _held(session: Session, caller: Caller, webhook_id: str, *, version: int | None) -> WebhookRow:
    row = webhooks.hold(session, caller.tenant_id, webhook_id)
    if row is None:
        raise no_webhook(webhook_id)
    if version is not None and row.version != version:
        raise PreconditionFailedError(f"Webhook {row.id} is at version {row.version} by now; read it again.")
    return row


def _asked(request: WebhookRequest, *, now: datetime, was_active: bool) -> dict[str, Any]:
    values: dict[str, Any] = {"name": request.name, "url": request.url, "events": list(request.events)}
    if request.enabled:
        return {**values, "state": WebhookState.ACTIVE.value, **({} if was_active else _FRESH)}
    disabled = {"disabled_at": now, "disabled_reason": _BY_HAND} if was_active else {}
    return {**values, "state": WebhookState.DISABLED.value, **disabled}


def _check_url(runtime: Runtime, url: str) -> None:
    try:
        runtime.outbound.check(url)
    except (RefusedError, UnsentError) as error:
        raise InvalidRequestError(f"url: {error}", errors=(FieldError(field="url", message=str(error)),)) from error


def _state_of(row: WebhookRow) -> str:
    return f"version {row.version}, {row.state}"


def _change(action: Action, row: WebhookRow, old: str | None, *, now: datetime) -> Change:
    return Change(
        at=now,
        action=action,
        tenant_id=row.tenant_id,
        resource_id=row.id,
        old_state=old,
        new_state=_state_of(row),
    )


def _changed(runtime: Runtime, caller: Caller, webhook_id: str) -> None:
    runtime.listeners.forget(caller.tenant_id)
    log.info("webhook_changed", resource_id=webhook_id, tenant_id=caller.tenant_id)
