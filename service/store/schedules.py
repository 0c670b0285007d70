"""Schedules: functions (session, ...) -> row. What a caller asks for is of one tenant; what is due goes by time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.store.stated import stated_in
from service.store.tables.schedules import OPEN_OCCURRENCES, OccurrenceRow, ScheduleRow
from service.store.tables.tenants import TenantRow
from service.store.written import rows_written

_THERE = ScheduleRow.removed_at.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFilter:
    """Which schedules are asked for."""

    name: str | None = None
    paused: bool | None = None


def add(session: Session, row: ScheduleRow) -> None:
    """Insert."""
    session.add(row)
    session.flush()


def get(session: Session, tenant_id: str, schedule_id: str) -> ScheduleRow | None:
    """The tenant's schedule of that id; None for another tenant's, and for one that was removed."""
    query = select(ScheduleRow).where(ScheduleRow.tenant_id == tenant_id, ScheduleRow.id == schedule_id, _THERE)
    return session.scalar(query, execution_options={"populate_existing": True})


def count(session: Session, tenant_id: str) -> int:
    """How many schedules the tenant has."""
    query = select(func.count()).select_from(ScheduleRow).where(ScheduleRow.tenant_id == tenant_id, _THERE)
    return session.scalar(query) or 0


def newest(
    session: Session, tenant_id: str, *, only: ScheduleFilter, before_id: str | None, limit: int
) -> Sequence[ScheduleRow]:
    """The tenant's schedules, newest first, older than `before_id`."""
    query = select(ScheduleRow).where(ScheduleRow.tenant_id == tenant_id, _THERE)
    if only.name is not None:
        query = query.where(ScheduleRow.name == only.name)
    if only.paused is not None:
        paused = ScheduleRow.paused_at
        query = query.where(paused.is_not(None) if only.paused else paused.is_(None))
    if before_id is not None:
        query = query.where(ScheduleRow.id < before_id)
    return session.scalars(query.order_by(ScheduleRow.id.desc()).limit(limit)).all()


def change(session: Session, old: ScheduleRow, values: Mapping[str, Any]) -> bool:
    """Write the version after `old`; False when somebody else has changed or removed it meanwhile."""
    same = (ScheduleRow.id == old.id, ScheduleRow.version == old.version, _THERE)
    query = update(ScheduleRow).where(*same).values(version=old.version + 1, **values)
    return rows_written(session, query) == 1


def hold(session: Session, schedule_id: str) -> ScheduleRow | None:
    """A schedule that may be due, locked until this transaction ends; None for one that is paused or removed."""
    query = select(ScheduleRow).where(ScheduleRow.id == schedule_id, _THERE, ScheduleRow.paused_at.is_(None))
    return session.scalar(query.with_for_update(), execution_options={"populate_existing": True})


def due(session: Session, *, now: datetime, limit: int) -> Sequence[str]:
    """Schedules whose tick has come, the longest overdue first; not while an occurrence of theirs is open."""
    return _waiting(session, ScheduleRow.next_at <= now, ScheduleRow.next_at, limit=limit)


def behind(session: Session, *, release_id: int, limit: int) -> Sequence[str]:
    """Schedules that have not answered for this release yet; not while an occurrence of theirs is open."""
    return _waiting(session, ScheduleRow.seen_release_id < release_id, ScheduleRow.id, limit=limit)


def _waiting(session: Session, where: ColumnElement[bool], order: Any, *, limit: int) -> Sequence[str]:
    is_open = (OccurrenceRow.schedule_id == ScheduleRow.id) & stated_in(OccurrenceRow.status, OPEN_OCCURRENCES)
    query = (
        select(ScheduleRow.id)
        .join(TenantRow, TenantRow.id == ScheduleRow.tenant_id)
        .where(where, _THERE, ScheduleRow.paused_at.is_(None), TenantRow.disabled_at.is_(None))
        .where(~select(OccurrenceRow.id).where(is_open).exists())
    )
    return session.scalars(query.order_by(order).limit(limit)).all()
