"""Audit events: written in the transaction of the change they tell of, and never changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, select
from sqlalchemy.orm import Session

from service.store.filters import AuditFilter, of_events
from service.store.insert_many import ManyRows
from service.store.tables.audit import AuditEventRow


def many(dialect: Dialect, rows: Sequence[Mapping[str, Any]]) -> ManyRows:
    """Events to write down, given as their columns: nothing is read back."""
    return ManyRows(dialect, AuditEventRow, rows)


def newest(
    session: Session, tenant_id: str, *, only: AuditFilter, before_id: str | None, limit: int
) -> Sequence[AuditEventRow]:
    """The tenant's events, newest first, older than `before_id`."""
    query = select(AuditEventRow).where(AuditEventRow.tenant_id == tenant_id, *of_events(only))
    if before_id is not None:
        query = query.where(AuditEventRow.id < before_id)
    return session.scalars(query.order_by(AuditEventRow.id.desc()).limit(limit)).all()
