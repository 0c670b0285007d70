"""Audit events: written in the transaction of the change they tell of, and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from service.store.tables.audit import AuditEventRow

_INSERT = insert(cast("Table", AuditEventRow.__table__))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events are asked for; None is any. From `created_after` on, and before `created_before`."""

    action: str | None = None
    principal: str | None = None
    resource_kind: str | None = None
    resource_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def add_many(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write events down, given as their columns: nothing is read back."""
    session.connection().execute(_INSERT, rows)


def newest(
    session: Session, tenant_id: str, *, only: AuditFilter, before_id: str | None, limit: int
) -> Sequence[AuditEventRow]:
    """The tenant's events, newest first, older than `before_id`."""
    query = select(AuditEventRow).where(AuditEventRow.tenant_id == tenant_id)
    for name in ("action", "principal", "resource_kind", "resource_id"):
        value = getattr(only, name)
        if value is not None:
            query = query.where(getattr(AuditEventRow, name) == value)
    if only.created_after is not None:
        query = query.where(AuditEventRow.created_at >= only.created_after)
    if only.created_before is not None:
        query = query.where(AuditEventRow.created_at < only.created_before)
    if before_id is not None:
        query = query.where(AuditEventRow.id < before_id)
    return session.scalars(query.order_by(AuditEventRow.id.desc()).limit(limit)).all()
