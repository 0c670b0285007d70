"""Tenants: whose data it is."""

from datetime import datetime

from sqlalchemy import Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Row


class TenantRow(Row):
    """A customer of the installation. A disabled tenant's keys do not work and its queued runs stop.

    Its quotas are what it may do in place of what everybody may.
    """

    __tablename__ = "tenants"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
    quota_reads: Mapped[int | None]
    quota_writes: Mapped[int | None]
    quota_open_runs: Mapped[int | None]
