"""Workloads: what a customer wants to do, as asked."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class WorkloadRow(Owned, Row):
    """A named question of one tenant. `question` is canonical JSON with every default spelled out."""

    __tablename__ = "workloads"
    __table_args__ = (Index(None, "tenant_id", "id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str | None] = mapped_column(Text)
    labels: Mapped[dict[str, Any]] = mapped_column(JSON)
    kind: Mapped[str] = mapped_column(Text)
    question: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=1)
    principal: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    changed_at: Mapped[datetime | None] = mapped_column(Moment)
    archived_at: Mapped[datetime | None] = mapped_column(Moment)


class WorkloadVersionRow(Owned, Row):
    """A version of a workload that a newer one has replaced; the newest is the workload's own row."""

    __tablename__ = "workload_versions"

    workload_id: Mapped[str] = mapped_column(ForeignKey("workloads.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str | None] = mapped_column(Text)
    labels: Mapped[dict[str, Any]] = mapped_column(JSON)
    kind: Mapped[str] = mapped_column(Text)
    question: Mapped[str] = mapped_column(Text)
    principal: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    replaced_at: Mapped[datetime] = mapped_column(Moment)
