"""Deliveries are listed and read by their tenant's administrators, sent again, and tried with a ping."""

from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, NotFoundError
from service.planning.delivery.feed import feed_deliveries
from service.planning.idempotency import Once, claimed, taken
from service.planning.transact import read, transact
from service.planning.webhook_changes import get_webhook, no_webhook
from service.planning.webhook_view import DeliveryView, delivery_view
from service.planning.webhooks import Announcement, EventName, written
from service.runtime import Runtime
from service.store import deliveries, webhooks
from service.store.deliveries import DeliveryFilter
from service.store.ids import new_id
from service.store.listeners import Listener
from service.store.tables.webhooks import DeliveryStatus, WebhookDeliveryRow, WebhookRow, WebhookState

log = structlog.get_logger(__name__)


def list_deliveries(
    runtime: Runtime,
    caller: Caller,
    webhook_id: str,
    *,
    only: DeliveryFilter,
    before_id: str | None = None,
    limit: int = 50,
) -> tuple[DeliveryView, ...]:
    """The deliveries to one webhook, newest first; NotFoundError when the caller's tenant has no such webhook."""
    get_webhook(runtime, caller, webhook_id)
    rows = read(
        runtime,
        lambda session: deliveries.newest(
            session, caller.tenant_id, webhook_id, only=only, before_id=before_id, limit=limit
        ),
    )
    return tuple(delivery_view(row) for row in rows)


def get_delivery(runtime: Runtime, caller: Caller, webhook_id: str, delivery_id: str) -> DeliveryView:
    """One delivery with what it sends; NotFoundError when the caller's tenant has no such webhook or delivery."""

    def query(session: Session) -> DeliveryView:
        _webhook(session, caller, webhook_id)
        row = _delivery(session, caller, webhook_id, delivery_id)
        return delivery_view(row, webhooks.event(session, caller.tenant_id, row.event_id))

    return read(runtime, query)


def replay(
    runtime: Runtime, caller: Caller, webhook_id: str, delivery_id: str, *, once: Once[DeliveryView] | None = None
) -> DeliveryView:
    """The same event once more, as a delivery of its own; what it was before stays as it was.

    Raises NotFoundError, and ConflictError for a webhook that is disabled, or a delivery that is still on its way.
    """

    def make(session: Session, now: datetime) -> WebhookDeliveryRow:
        old = _delivery(session, caller, webhook_id, delivery_id)
        if old.status == DeliveryStatus.PENDING:
            raise ConflictError(f"Delivery {old.id} is still on its way; it is replayed once it has ended.")
        return WebhookDeliveryRow(
            id=new_id("whd", now),
            tenant_id=caller.tenant_id,
            webhook_id=webhook_id,
            event_id=old.event_id,
            event=old.event,
            status=DeliveryStatus.PENDING.value,
            attempts=0,
            lease_token=0,
            due_at=now,
            replay_of=old.id,
            created_at=now,
        )

    return _sent(runtime, caller, webhook_id, make, once=once)


def ping(runtime: Runtime, caller: Caller, webhook_id: str, *, once: Once[DeliveryView] | None = None) -> DeliveryView:
    """An event that says nothing, to see whether it arrives. ConflictError for a webhook that is disabled."""

    def make(session: Session, now: datetime) -> WebhookDeliveryRow:
        name = EventName.WEBHOOK_PING
        said = Announcement(
            tenant_id=caller.tenant_id,
            name=name,
            subject_id=webhook_id,
            href=f"/v1/webhooks/{webhook_id}",
            data={},
            at=now,
        )
        event, [delivery] = written(said, [Listener(webhook_id=webhook_id, events=frozenset({name.value}))])
        webhooks.add_events(session.connection(), [event], [])
        return WebhookDeliveryRow(**delivery, attempts=0, lease_token=0)

    return _sent(runtime, caller, webhook_id, make, once=once)


def _sent(
    runtime: Runtime,
    caller: Caller,
    webhook_id: str,
    make: Callable[[Session, datetime], WebhookDeliveryRow],
    *,
    once: Once[DeliveryView] | None,
) -> DeliveryView:
    now = runtime.clock()

    def work(session: Session) -> DeliveryView:
        webhook = _webhook(session, caller, webhook_id)
        row = make(session, now)
        view = delivery_view(row)
        if once is not None and not claimed(
            session, runtime, caller.tenant_id, once, once.answer(view), resource_id=row.id, now=now
        ):
            raise taken(once)
        if webhook.state != WebhookState.ACTIVE:
            raise ConflictError(f"Webhook {webhook.id} is disabled: {webhook.disabled_reason} Enable it first.")
        # A person waits for this one: whatever pause the others are in, it is tried now.
        webhook.resume_at = None
        deliveries.add(session, row)
        return view

    view = transact(runtime, work)
    feed_deliveries(runtime)
    log.info("delivery_asked_for", resource_id=webhook_id, tenant_id=caller.tenant_id, kind=view.event)
    return view


def _webhook(session: Session, caller: Caller, webhook_id: str) -> WebhookRow:
    row = webhooks.hold(session, caller.tenant_id, webhook_id)
    if row is None:
        raise no_webhook(webhook_id)
    return row


def _delivery(session: Session, caller: Caller, webhook_id: str, delivery_id: str) -> WebhookDeliveryRow:
    row = deliveries.get(session, caller.tenant_id, webhook_id, delivery_id)
    if row is None:
        raise NotFoundError(f"There is no delivery {delivery_id[:64]!r} of that webhook.")
    return row
