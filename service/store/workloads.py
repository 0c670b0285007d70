"""Workloads: functions (session, ...) -> row, every one of one tenant."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from service.store.ids import new_id
from service.store.tables.workloads import WorkloadRow

_INSERT = insert(cast("Table", WorkloadRow.__table__))


def add(
    session: Session,
    tenant_id: str,
    *,
    name: str | None,
    labels: Mapping[str, str],
    kind: str,
    question: str,
    principal: str,
    now: datetime,
) -> WorkloadRow:
    """A new workload of the tenant."""
    row = WorkloadRow(
        id=new_id("wkl", now),
        tenant_id=tenant_id,
        name=name,
        labels=dict(labels),
        kind=kind,
        question=question,
        version=1,
        principal=principal,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def add_many(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert workloads, given as their columns."""
    session.connection().execute(_INSERT, rows)


def get(session: Session, tenant_id: str, workload_id: str) -> WorkloadRow | None:
    """The tenant's workload of that id; None for another tenant's."""
    query = select(WorkloadRow).where(WorkloadRow.tenant_id == tenant_id, WorkloadRow.id == workload_id)
    return session.scalar(query)


def newest(
    session: Session, tenant_id: str, *, before_id: str | None = None, limit: int = 50, archived: bool = False
) -> Sequence[WorkloadRow]:
    """The tenant's workloads, newest first, older than `before_id`."""
    query = select(WorkloadRow).where(WorkloadRow.tenant_id == tenant_id)
    if not archived:
        query = query.where(WorkloadRow.archived_at.is_(None))
    if before_id is not None:
        query = query.where(WorkloadRow.id < before_id)
    return session.scalars(query.order_by(WorkloadRow.id.desc()).limit(limit)).all()
