"""What callers see of webhooks and deliveries: values, detached from any session. A secret is shown once."""

from dataclasses import dataclass
from datetime import datetime

from service.store.tables.webhooks import DeliveryStatus, WebhookDeliveryRow, WebhookEventRow, WebhookRow, WebhookState


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookView:
    """A webhook as its tenant's administrators see it; `secret` only where it was just made."""

    id: str
    name: str | None
    url: str
    events: tuple[str, ...]
    state: WebhookState
    version: int
    secret: str | None
    old_secret_until: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None
    principal: str
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """A delivery as its tenant's administrators see it; `body` is what is sent, where it was asked for."""

    id: str
    webhook_id: str
    event: str
    event_id: str
    status: DeliveryStatus
    attempts: int
    status_code: int | None
    excerpt: str | None
    error: str | None
    replay_of: str | None
    created_at: datetime
    attempted_at: datetime | None
    next_attempt_at: datetime | None
    ended_at: datetime | None
    body: str | None


_SAME = ("id", "name", "url", "version", "old_secret_until", "failing_since", "disabled_at", "disabled_reason")
_OF_DELIVERY = ("id", "webhook_id", "event", "event_id", "attempts", "status_code", "excerpt", "error", "replay_of")


def webhook_view(row: WebhookRow, *, secret: str | None = None) -> WebhookView:
    """The view of a row."""
    return WebhookView(
        **{name: getattr(row, name) for name in (*_SAME, "principal", "created_at", "changed_at")},
        events=tuple(row.events),
        state=WebhookState(row.state),
        secret=secret,
    )


def delivery_view(row: WebhookDeliveryRow, event: WebhookEventRow | None = None) -> DeliveryView:
    """The view of a row, with what is sent where the event is given."""
    status = DeliveryStatus(row.status)
    return DeliveryView(
        **{name: getattr(row, name) for name in (*_OF_DELIVERY, "created_at", "attempted_at", "ended_at")},
        status=status,
        next_attempt_at=row.due_at if status is DeliveryStatus.PENDING else None,
        body=None if event is None else event.body,
    )
