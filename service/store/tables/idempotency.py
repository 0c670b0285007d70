"""Idempotency keys: which request of a tenant a key stands for, what it made, and what was answered first."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class IdempotencyRow(Owned, Row):
    """Written in the transaction that makes the resource, so that no crash parts the two.

    `status`, `headers` and `body` are the first answer: without `status` it is still being given, until `held_until`;
    without `body` it is written again from the resource, which changes no more.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    resource_id: Mapped[str] = mapped_column(Text)
    held_until: Mapped[datetime] = mapped_column(Moment)
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
