"""Chunks that have work left: which ones are to be rung for, in turn between tenants, and since when they wait."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.store.chunks import QUEUED, RUNNING, this_chunk
from service.store.stated import stated_in
from service.store.tables.batches import OPEN_CHUNKS, BatchChunkRow, BatchRow
from service.store.tables.tenants import TenantRow
from service.store.written import rows_written

_IS_OPEN = stated_in(BatchChunkRow.status, OPEN_CHUNKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A chunk that is to be rung for, as it was when it was looked at."""

    batch_id: str
    number: int
    tenant_id: str
    sent_at: datetime | None


def waiting(session: Session, *, now: datetime, resend_before: datetime, limit: int) -> list[Waiting]:
    """Chunks to ring for, in turn between tenants: the one with the least under way comes first.

    Never rung for, rung for so long ago that the bell must be lost, or held under a lease that has run out.
    """
    due = _due(now, resend_before)
    under_way = case((due, 0), else_=1)
    tenants = session.execute(
        select(
            BatchChunkRow.tenant_id,
            func.sum(under_way).label("under_way"),
            func.max(BatchChunkRow.sent_at).label("last"),
        )
        .join(TenantRow, TenantRow.id == BatchChunkRow.tenant_id)
        .where(_IS_OPEN, TenantRow.disabled_at.is_(None))
        .group_by(BatchChunkRow.tenant_id)
        .having(func.sum(1 - under_way) > 0)
        .order_by("under_way", func.coalesce(func.max(BatchChunkRow.sent_at), resend_before), BatchChunkRow.tenant_id)
        .limit(limit)
    ).all()
    queues = [_of_tenant(session, one.tenant_id, due, limit=limit) for one in tenants]
    loads = [int(one.under_way) for one in tenants]
    chosen: list[Waiting] = []
    while len(chosen) < limit and any(queues):
        # Of equals the first: the one that was served longest ago.
        place = min((i for i, queue in enumerate(queues) if queue), key=lambda i: loads[i])
        chosen.append(queues[place].pop(0))
        loads[place] += 1
    return chosen


def _of_tenant(session: Session, tenant_id: str, due: ColumnElement[bool], *, limit: int) -> list[Waiting]:
    columns = (BatchChunkRow.batch_id, BatchChunkRow.number, BatchChunkRow.sent_at)
    query = select(*columns).where(_IS_OPEN, BatchChunkRow.tenant_id == tenant_id, due)
    rows = session.execute(query.order_by(BatchChunkRow.batch_id, BatchChunkRow.number).limit(limit))
    return [
        Waiting(batch_id=batch_id, number=number, tenant_id=tenant_id, sent_at=sent_at)
        for batch_id, number, sent_at in rows
    ]


def _due(now: datetime, resend_before: datetime) -> ColumnElement[bool]:
    unheard = or_(BatchChunkRow.sent_at.is_(None), BatchChunkRow.sent_at < resend_before)
    lapsed = and_(RUNNING, BatchChunkRow.lease_until < now)
    since_lapse = or_(unheard, BatchChunkRow.sent_at <= BatchChunkRow.lease_until)
    return or_(and_(QUEUED, unheard), and_(lapsed, since_lapse))


def mark_sent(session: Session, one: Waiting, *, now: datetime) -> bool:
    """The bell is about to be rung; False when somebody else has rung it since it was looked at."""
    same = BatchChunkRow.sent_at.is_(None) if one.sent_at is None else BatchChunkRow.sent_at == one.sent_at
    mine = and_(this_chunk(one.batch_id, one.number), _IS_OPEN, same)
    return rows_written(session, update(BatchChunkRow).where(mine).values(sent_at=now)) == 1


def unmark(session: Session, one: Waiting) -> None:
    """The bell could not be rung after all."""
    mine = and_(this_chunk(one.batch_id, one.number), _IS_OPEN)
    rows_written(session, update(BatchChunkRow).where(mine).values(sent_at=one.sent_at))


def open_since(session: Session) -> tuple[datetime, datetime] | None:
    """When the oldest batch that has work left was sent, and since when no item of any such batch has ended: of that
    which was begun (or waits to be) first, where none of theirs has. None without one; batches of disabled tenants
    wait for their tenant.
    """
    open_ids = select(BatchChunkRow.batch_id).where(_IS_OPEN)
    begun = func.coalesce(BatchRow.started_at, BatchRow.created_at)
    query = (
        select(func.min(BatchRow.created_at), func.max(BatchRow.counted_at), func.min(begun))
        .join(TenantRow, TenantRow.id == BatchRow.tenant_id)
        .where(BatchRow.id.in_(open_ids), TenantRow.disabled_at.is_(None))
    )
    since, counted_at, begun_at = cast("tuple[datetime | None, ...]", tuple(session.execute(query).one()))
    # Of no rows the least and the greatest are nothing.
    if since is None or begun_at is None:
        return None
    return since, begun_at if counted_at is None else max(counted_at, begun_at)


def any_open(session: Session) -> bool:
    """Whether any batch has work left."""
    return session.scalar(select(BatchChunkRow.number).where(_IS_OPEN).limit(1)) is not None
