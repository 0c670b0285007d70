"""Workloads and their versions: functions (session, ...) -> row, every one of one tenant."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Dialect, select, update
from sqlalchemy.orm import Session

from service.store.filters import WorkloadFilter, of_workloads
from service.store.insert_many import ManyRows
from service.store.tables.workloads import WorkloadRow, WorkloadVersionRow
from service.store.written import rows_written

# What a version has and its successor replaces.
_ASKED = ("version", "name", "labels", "kind", "question", "principal")


def add(
    session: Session,
    tenant_id: str,
    *,
    workload_id: str,
    name: str | None,
    labels: Mapping[str, str],
    kind: str,
    question: str,
    principal: str,
    now: datetime,
) -> WorkloadRow:
    """A new workload of the tenant."""
    row = WorkloadRow(
        id=workload_id,
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


def many(dialect: Dialect, rows: Sequence[Mapping[str, Any]]) -> ManyRows:
    """Workloads to insert, given as their columns."""
    return ManyRows(dialect, WorkloadRow, rows)


def get(session: Session, tenant_id: str, workload_id: str) -> WorkloadRow | None:
    """The tenant's workload of that id; None for another tenant's."""
    query = select(WorkloadRow).where(WorkloadRow.tenant_id == tenant_id, WorkloadRow.id == workload_id)
    return session.scalar(query)


def names(session: Session, tenant_id: str, ids: Collection[str]) -> dict[str, str | None]:
    """What these workloads of the tenant are called, by id."""
    query = select(WorkloadRow.id, WorkloadRow.name).where(WorkloadRow.tenant_id == tenant_id, WorkloadRow.id.in_(ids))
    return {row.id: row.name for row in session.execute(query)}


def newest(
    session: Session, tenant_id: str, *, only: WorkloadFilter, before_id: str | None = None, limit: int = 50
) -> Sequence[WorkloadRow]:
    """The tenant's workloads, newest first, older than `before_id`."""
    query = select(WorkloadRow).where(WorkloadRow.tenant_id == tenant_id, *of_workloads(session, only))
    if before_id is not None:
        query = query.where(WorkloadRow.id < before_id)
    return session.scalars(query.order_by(WorkloadRow.id.desc()).limit(limit)).all()


def replace(session: Session, old: WorkloadRow, *, now: datetime, **asked: Any) -> bool:
    """Write the version after `old` and keep that one; False when somebody else has changed or archived it meanwhile.

    `asked` has name, labels, kind, question and principal.
    """
    kept = {name: getattr(old, name) for name in _ASKED}
    written_at = old.changed_at or old.created_at
    if not _update(session, old, {**asked, "version": old.version + 1, "changed_at": now}):
        return False
    session.add(
        WorkloadVersionRow(workload_id=old.id, tenant_id=old.tenant_id, created_at=written_at, replaced_at=now, **kept)
    )
    session.flush()
    return True


def archive(session: Session, old: WorkloadRow, *, now: datetime) -> bool:
    """Put the workload away; False when somebody else has changed or archived it meanwhile."""
    return _update(session, old, {"archived_at": now})


def _update(session: Session, old: WorkloadRow, values: dict[str, Any]) -> bool:
    """Change the row while it still is the version that was read: of two at once the database lets one through."""
    same = (WorkloadRow.id == old.id, WorkloadRow.version == old.version, WorkloadRow.archived_at.is_(None))
    return rows_written(session, update(WorkloadRow).where(*same).values(**values)) == 1


def version(session: Session, tenant_id: str, workload_id: str, number: int) -> WorkloadVersionRow | None:
    """A version that was replaced; None for the newest and for another tenant's."""
    query = select(WorkloadVersionRow).where(
        WorkloadVersionRow.tenant_id == tenant_id,
        WorkloadVersionRow.workload_id == workload_id,
        WorkloadVersionRow.version == number,
    )
    return session.scalar(query)


def replaced(session: Session, workload: WorkloadRow, *, before: int, limit: int) -> Sequence[WorkloadVersionRow]:
    """The versions of a workload that were replaced, newest first, older than `before`."""
    query = select(WorkloadVersionRow).where(
        WorkloadVersionRow.workload_id == workload.id, WorkloadVersionRow.version < before
    )
    return session.scalars(query.order_by(WorkloadVersionRow.version.desc()).limit(limit)).all()
