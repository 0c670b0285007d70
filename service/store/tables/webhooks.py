"""Webhooks: where a tenant wants to hear of its events, the events that somebody listened to, and their deliveries."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class WebhookState(StrEnum):
    """active <-> disabled; a deleted one is seen no more."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


class DeliveryStatus(StrEnum):
    """pending -> delivered, gave_up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GAVE_UP = "gave_up"


_STATES = ", ".join(f"'{state.value}'" for state in WebhookState)
_STATUSES = ", ".join(f"'{status.value}'" for status in DeliveryStatus)
_ACTIVE = text("state = 'active'")
_PENDING = text("status = 'pending'")
_RUNG = text("status = 'pending' AND sent_at IS NOT NULL")


class WebhookRow(Owned, Row):
    """One address of a tenant. Rows stay when they are deleted: their deliveries tell what was sent.

    `version` counts what administrators change. `secret` signs; `old_secret` signs beside it until `old_secret_until`.
    `failures` is how many deliveries failed since the last that did not, the first of them at `failing_since`; nothing
    is sent before `resume_at`.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint("(old_secret IS NULL) = (old_secret_until IS NULL)", name="old_secret"),
        CheckConstraint("state <> 'disabled' OR disabled_reason IS NOT NULL", name="disabled"),
        Index(None, "tenant_id", "id"),
        Index("ix_webhooks_active", "tenant_id", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(server_default="1")
    secret: Mapped[str] = mapped_column(Text)
    old_secret: Mapped[str | None] = mapped_column(Text)
    old_secret_until: Mapped[datetime | None] = mapped_column(Moment)
    failures: Mapped[int] = mapped_column(server_default="0")
    failing_since: Mapped[datetime | None] = mapped_column(Moment)
    resume_at: Mapped[datetime | None] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    principal: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    changed_at: Mapped[datetime] = mapped_column(Moment)


class WebhookEventRow(Owned, Row):
    """Something that happened to a subject of the tenant. `body` is what is sent, to the byte, however often."""

    __tablename__ = "webhook_events"
    __table_args__ = (Index(None, "created_at"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)


class WebhookDeliveryRow(Owned, Row):
    """An event on its way to a webhook. `lease_token` grows with every attempt: its newest holder alone may end it.

    `sent_at` is when it was rung for; whoever claims it without that bell comes too late. `status_code`, `excerpt` and
    `error` are of the last attempt. A replay is a delivery of its own of the same event.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="ended"),
        Index(None, "webhook_id", "id"),
        Index(None, "event_id"),
        Index(
            "ix_webhook_deliveries_pending", "webhook_id", "due_at", sqlite_where=_PENDING, postgresql_where=_PENDING
        ),
        # A webhook that was away for days has many that wait, and two of them under way.
        Index("ix_webhook_deliveries_rung", "webhook_id", sqlite_where=_RUNG, postgresql_where=_RUNG),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id"))
    event_id: Mapped[str] = mapped_column(ForeignKey("webhook_events.id"))
    event: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease_token: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    due_at: Mapped[datetime] = mapped_column(Moment)
    status_code: Mapped[int | None]
    excerpt: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    replay_of: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    attempted_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
