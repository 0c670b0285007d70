"""Audit events: who did what to which resource, when, from which request; written with the change, never changed."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class AuditEventRow(Owned, Row):
    """One accepted change, in the transaction that made it. `key_id` is absent where no API key was used."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "tenant_id", "id"), Index(None, "tenant_id", "resource_id"))

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    principal: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    resource_kind: Mapped[str] = mapped_column(Text)
    resource_id: Mapped[str] = mapped_column(Text)
    old_state: Mapped[str | None] = mapped_column(Text)
    new_state: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
