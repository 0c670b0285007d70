"""Occurrences of schedules: who may work on one, how far it is, and which ones are to be rung for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, literal, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.store.insert import insert_if_absent
from service.store.insert_many import insert_many
from service.store.stated import stated_in
from service.store.tables.batches import BatchRow
from service.store.tables.moment import Moment
from service.store.tables.schedules import (
    OPEN_OCCURRENCES,
    OccurrenceItemRow,
    OccurrenceRow,
    OccurrenceStatus,
    Stage,
)
from service.store.tables.tenants import TenantRow
from service.store.written import rows_written

_IS_OPEN = stated_in(OccurrenceRow.status, OPEN_OCCURRENCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceFilter:
    """Which occurrences are asked for."""

    status: OccurrenceStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bell:
    """An occurrence that is to be rung for, as it was when it was looked at."""

    id: str
    sent_at: datetime | None


def add(session: Session, **values: Any) -> bool:
    """Insert; False when its tick is there already, or another occurrence of the schedule is open."""
    return insert_if_absent(session, OccurrenceRow, **values)


def has_tick(session: Session, schedule_id: str, tick: str) -> bool:
    """Whether the schedule had this tick."""
    query = select(OccurrenceRow.id).where(OccurrenceRow.schedule_id == schedule_id, OccurrenceRow.tick == tick)
    return session.scalar(query) is not None


def get(session: Session, tenant_id: str, occurrence_id: str) -> OccurrenceRow | None:
    """The tenant's occurrence of that id; None for another tenant's."""
    query = select(OccurrenceRow).where(OccurrenceRow.tenant_id == tenant_id, OccurrenceRow.id == occurrence_id)
    return session.scalar(query, execution_options={"populate_existing": True})


def newest(
    session: Session, tenant_id: str, schedule_id: str, *, only: OccurrenceFilter, before_id: str | None, limit: int
) -> Sequence[OccurrenceRow]:
    """The occurrences of a schedule, newest first, older than `before_id`."""
    query = select(OccurrenceRow).where(OccurrenceRow.tenant_id == tenant_id, OccurrenceRow.schedule_id == schedule_id)
    if only.status is not None:
        query = query.where(OccurrenceRow.status == only.status.value)
    if before_id is not None:
        query = query.where(OccurrenceRow.id < before_id)
    return session.scalars(query.order_by(OccurrenceRow.id.desc()).limit(limit)).all()


def latest_of(session: Session, schedule_ids: Sequence[str]) -> Mapping[str, OccurrenceRow]:
    """The newest occurrence of each of these schedules."""
    newest_ids = (
        select(func.max(OccurrenceRow.id))
        .where(OccurrenceRow.schedule_id.in_(schedule_ids))
        .group_by(OccurrenceRow.schedule_id)
    )
    rows = session.scalars(select(OccurrenceRow).where(OccurrenceRow.id.in_(newest_ids)))
    return {row.schedule_id: row for row in rows}


def claim(session: Session, occurrence_id: str, *, now: datetime, lease_s: float) -> OccurrenceRow | None:
    """Take an open occurrence that nobody holds; None when there is nothing to take, or its tenant is disabled."""
    enabled = select(TenantRow.id).where(TenantRow.id == OccurrenceRow.tenant_id, TenantRow.disabled_at.is_(None))
    free = or_(OccurrenceRow.lease_until.is_(None), OccurrenceRow.lease_until < now)
    query = (
        update(OccurrenceRow)
        .where(OccurrenceRow.id == occurrence_id, _IS_OPEN, free, enabled.exists())
        .values(
            status=OccurrenceStatus.RUNNING.value,
            attempts=OccurrenceRow.attempts + 1,
            lease_token=OccurrenceRow.lease_token + 1,
            lease_until=now + timedelta(seconds=lease_s),
            started_at=func.coalesce(OccurrenceRow.started_at, literal(now, Moment)),
        )
        .returning(OccurrenceRow)
    )
    return session.scalars(query, execution_options={"populate_existing": True}).one_or_none()


def write(session: Session, occurrence_id: str, token: int, values: Mapping[str, Any]) -> bool:
    """Change an occurrence that is held by this token; False when it is not any more. Locks the row."""
    holds = and_(OccurrenceRow.id == occurrence_id, OccurrenceRow.lease_token == token, _IS_OPEN)
    return rows_written(session, update(OccurrenceRow).where(holds).values(**values)) == 1


def add_items(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert items of an occurrence that selects."""
    if rows:
        insert_many(connection, OccurrenceItemRow, rows)


def settle_items(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what became of items, each given by its key and its new columns."""
    if rows:
        session.execute(update(OccurrenceItemRow), list(rows))


def waiting(session: Session, *, now: datetime, resend_before: datetime, limit: int) -> list[Bell]:
    """Open occurrences that a worker has something to do for, and that nobody holds or was rung for lately."""
    free = or_(OccurrenceRow.lease_until.is_(None), OccurrenceRow.lease_until < now)
    unheard = or_(OccurrenceRow.sent_at.is_(None), OccurrenceRow.sent_at < resend_before)
    sized = or_(OccurrenceRow.stage != Stage.SIZING.value, BatchRow.finished_at.is_not(None))
    query = (
        select(OccurrenceRow.id, OccurrenceRow.sent_at)
        .outerjoin(BatchRow, BatchRow.id == OccurrenceRow.batch_id)
        .join(TenantRow, TenantRow.id == OccurrenceRow.tenant_id)
        .where(_IS_OPEN, free, unheard, sized, TenantRow.disabled_at.is_(None))
        .order_by(OccurrenceRow.id)
        .limit(limit)
    )
    return [Bell(id=occurrence_id, sent_at=sent_at) for occurrence_id, sent_at in session.execute(query)]


def mark_sent(session: Session, bell: Bell, *, now: datetime | None) -> bool:
    """The bell is about to be rung, or (None) could not be after all; False when somebody else has rung it."""
    same: ColumnElement[bool] = literal(value=True)
    if now is not None:
        same = OccurrenceRow.sent_at.is_(None) if bell.sent_at is None else OccurrenceRow.sent_at == bell.sent_at
    mine = and_(OccurrenceRow.id == bell.id, _IS_OPEN, same)
    return rows_written(session, update(OccurrenceRow).where(mine).values(sent_at=now)) == 1
