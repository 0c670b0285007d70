"""Leases and heartbeats of processes: who leads the dispatching, and who is alive."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Row


class LeaseRow(Row):
    """A named lease; `token` grows with every change of holder."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str] = mapped_column(Text)
    token: Mapped[int]
    held_until: Mapped[datetime] = mapped_column(Moment)


class HeartbeatRow(Row):
    """A process that lives: workers and dispatchers write theirs every few seconds."""

    __tablename__ = "heartbeats"

    process: Mapped[str] = mapped_column(Text, primary_key=True)
    role: Mapped[str] = mapped_column(Text, index=True)
    started_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment)
