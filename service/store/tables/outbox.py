"""Outbox: what must be rung, written together with what it rings for."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Row


class OutboxRow(Row):
    """One message for the broker, an id only. It is deleted when it was rung; the relay rings all that remain."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "entity_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    task: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(Text)
    entity_id: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
