"""Batches and their items: functions (session, ...) -> row. What a caller asks for is of one tenant."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, literal, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.store.insert_many import insert_many
from service.store.recent_rate import recent_rate_items_s
from service.store.tables.batches import (
    ENDS,
    OPEN_BATCHES,
    OPEN_CHUNKS,
    BatchAnswerRow,
    BatchChunkRow,
    BatchItemRow,
    BatchRow,
    BatchStatus,
    ChunkStatus,
    ItemState,
)
from service.store.tables.moment import Moment
from service.store.tables.schedules import OccurrenceRow
from service.store.written import rows_written

_SEEN = BatchRow.status != BatchStatus.RECEIVING.value
_IS_OPEN = BatchRow.status.in_(OPEN_BATCHES)
_QUEUED = ItemState.QUEUED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFilter:
    """Which batches are asked for."""

    status: BatchStatus | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items are asked for."""

    state: ItemState | None = None
    kind: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """So many items that have come to their ends."""

    done: int = 0
    infeasible: int = 0
    refused: int = 0
    failed: int = 0
    reused_items: int = 0

    @property
    def items(self) -> int:
        """All of them; those that were reused are among the others."""
        return self.done + self.infeasible + self.refused + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundItem:
    """An item as it is now, with what its question was answered."""

    line: int
    state: ItemState
    attempts: int
    name: str | None
    kind: str | None
    digest: str | None
    problem: str | None
    answer: str | None


def add(session: Session, row: BatchRow) -> None:
    """Insert a batch that is being received."""
    session.add(row)
    session.flush()


def add_items(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert items of a batch that is being received."""
    if rows:
        insert_many(connection, BatchItemRow, rows)


def accept(
    session: Session,
    batch_id: str,
    *,
    refused: int,
    chunks: Sequence[Mapping[str, Any]],
    items: int,
    now: datetime,
) -> bool:
    """All of it is here: from now on it is seen and worked on. False when it was given up meanwhile."""
    received = and_(BatchRow.id == batch_id, BatchRow.status == BatchStatus.RECEIVING.value)
    values: dict[str, Any] = {"status": BatchStatus.ACCEPTED.value, "items": items, "refused": refused}
    if refused == items:
        values |= {"status": BatchStatus.DONE.value, "finished_at": now}
    if rows_written(session, update(BatchRow).where(received).values(**values)) != 1:
        return False
    if chunks:
        insert_many(session.connection(), BatchChunkRow, chunks)
    return True


def get(session: Session, tenant_id: str, batch_id: str) -> BatchRow | None:
    """The tenant's batch of that id; None for another tenant's."""
    query = select(BatchRow).where(BatchRow.tenant_id == tenant_id, BatchRow.id == batch_id, _SEEN)
    return session.scalar(query, execution_options={"populate_existing": True})


def hold(session: Session, tenant_id: str, batch_id: str) -> BatchRow | None:
    """The same, locked until this transaction ends. Whoever changes a batch takes its row before its chunks' rows."""
    query = select(BatchRow).where(BatchRow.tenant_id == tenant_id, BatchRow.id == batch_id, _SEEN).with_for_update()
    return session.scalar(query, execution_options={"populate_existing": True})


def newest(
    session: Session, tenant_id: str, *, only: BatchFilter, before_id: str | None = None, limit: int = 50
) -> Sequence[BatchRow]:
    """The tenant's batches, newest first, older than `before_id`."""
    query = select(BatchRow).where(BatchRow.tenant_id == tenant_id, _SEEN)
    if only.status is not None:
        query = query.where(BatchRow.status == only.status.value)
    if only.created_after is not None:
        query = query.where(BatchRow.created_at >= only.created_after)
    if only.created_before is not None:
        query = query.where(BatchRow.created_at < only.created_before)
    if before_id is not None:
        query = query.where(BatchRow.id < before_id)
    return session.scalars(query.order_by(BatchRow.id.desc()).limit(limit)).all()


def count_open(session: Session, tenant_id: str) -> int:
    """How many batches of the tenant have not ended, those that are being received among them."""
    mine = and_(BatchRow.tenant_id == tenant_id, BatchRow.finished_at.is_(None))
    return session.scalar(select(func.count()).select_from(BatchRow).where(mine)) or 0


def running_items(session: Session, batch_ids: Collection[str]) -> dict[str, int]:
    """How many open items of each batch lie in chunks that a worker holds."""
    if not batch_ids:
        return {}
    held = and_(BatchChunkRow.batch_id.in_(batch_ids), BatchChunkRow.status == ChunkStatus.RUNNING.value)
    query = select(BatchChunkRow.batch_id, func.sum(BatchChunkRow.open_items)).where(held)
    return {batch_id: int(count) for batch_id, count in session.execute(query.group_by(BatchChunkRow.batch_id))}


def start(session: Session, batch_id: str, *, now: datetime) -> bool:
    """A worker takes a chunk of it; False when the batch has ended. Locks the row."""
    started = func.coalesce(BatchRow.started_at, literal(now, Moment))
    values = {"status": BatchStatus.RUNNING.value, "started_at": started}
    return rows_written(session, update(BatchRow).where(BatchRow.id == batch_id, _IS_OPEN).values(**values)) == 1


def count(session: Session, batch_id: str, ended: Ended, *, now: datetime) -> bool:
    """Add to the counts, and end the batch with its last item; False when it has ended already. Locks the row."""
    columns = (BatchRow.started_at, BatchRow.counted_at, BatchRow.recent_rate_items_s)
    query = select(*columns).where(BatchRow.id == batch_id, _IS_OPEN).with_for_update()
    before = session.execute(query).one_or_none()
    if before is None:
        return False
    names = ("done", "infeasible", "refused", "failed", "reused_items")
    values: dict[str, Any] = {name: getattr(BatchRow, name) + getattr(ended, name) for name in names}
    counts = BatchRow.done + BatchRow.infeasible + BatchRow.refused + BatchRow.failed + ended.items
    over = counts >= BatchRow.items
    values["status"] = case((over, BatchStatus.DONE.value), else_=BatchStatus.RUNNING.value)
    values["finished_at"] = case((over, literal(now, Moment)), else_=literal(None, Moment))
    started_at = before.started_at or now
    counted_at = before.counted_at or started_at
    rate = recent_rate_items_s(
        before.recent_rate_items_s,
        items=ended.items,
        since_s=(now - counted_at).total_seconds(),
        seen_s=(counted_at - started_at).total_seconds(),
    )
    values |= {"counted_at": now, "recent_rate_items_s": rate}
    return rows_written(session, update(BatchRow).where(BatchRow.id == batch_id, _IS_OPEN).values(**values)) == 1


def cancel(session: Session, held: BatchRow, *, now: datetime) -> None:
    """End a held, open batch: its open items are cancelled with it, and no answer of theirs is written any more."""
    held.status = BatchStatus.CANCELLED.value
    held.finished_at = now
    session.flush()
    chunks = update(BatchChunkRow).where(BatchChunkRow.batch_id == held.id, BatchChunkRow.status.in_(OPEN_CHUNKS))
    rows_written(session, chunks.values(status=ChunkStatus.CANCELLED.value, lease_until=None))


def items(session: Session, batch: BatchRow, *, only: ItemFilter, after_line: int, limit: int) -> list[FoundItem]:
    """Items of a batch in the order of their lines, after `after_line`, each with its answer."""
    answer = and_(BatchAnswerRow.tenant_id == batch.tenant_id, BatchAnswerRow.digest == BatchItemRow.digest)
    chunk = and_(BatchChunkRow.batch_id == BatchItemRow.batch_id, BatchChunkRow.number == BatchItemRow.chunk)
    query = (
        select(
            BatchItemRow.line,
            BatchItemRow.state,
            BatchChunkRow.status,
            BatchItemRow.attempts,
            BatchItemRow.name,
            BatchItemRow.kind,
            BatchItemRow.digest,
            BatchItemRow.problem,
            BatchAnswerRow.body,
        )
        .select_from(BatchItemRow)
        .outerjoin(BatchAnswerRow, answer)
        .outerjoin(BatchChunkRow, chunk)
    )
    query = query.where(BatchItemRow.batch_id == batch.id, BatchItemRow.line > after_line, *_asked(batch, only))
    rows = session.execute(query.order_by(BatchItemRow.line).limit(limit))
    return [
        FoundItem(
            line=line,
            state=_state(batch, state, chunk_status),
            attempts=attempts,
            name=name,
            kind=kind,
            digest=digest,
            problem=problem,
            answer=body if state != _QUEUED else None,
        )
        for line, state, chunk_status, attempts, name, kind, digest, problem, body in rows
    ]


def _state(batch: BatchRow, state: str, chunk_status: str | None) -> ItemState:
    if state != _QUEUED:
        return ItemState(state)
    if batch.status == BatchStatus.CANCELLED:
        return ItemState.CANCELLED
    return ItemState.RUNNING if chunk_status == ChunkStatus.RUNNING else ItemState.QUEUED


def _asked(batch: BatchRow, only: ItemFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if only.kind is not None:
        found.append(BatchItemRow.kind == str(only.kind))
    if only.name is not None:
        found.append(BatchItemRow.name == only.name)
    if only.state is None:
        return found
    if only.state in ENDS:
        return [*found, BatchItemRow.state == only.state.value]
    is_open = BatchItemRow.state == _QUEUED
    cancelled = batch.status == BatchStatus.CANCELLED
    if cancelled or only.state is ItemState.CANCELLED:
        return [*found, is_open if cancelled and only.state is ItemState.CANCELLED else literal(value=False)]
    held = BatchChunkRow.status == ChunkStatus.RUNNING.value
    running = only.state is ItemState.RUNNING
    return [*found, is_open, held if running else or_(BatchChunkRow.status.is_(None), ~held)]


def forget_unfinished(session: Session, *, before: datetime, limit: int) -> int:
    """Remove some items of a batch whose request died while it was received, and with the last of them the batch.

    That of an occurrence is written by workers, however long that takes.
    """
    of_occurrence = select(OccurrenceRow.id).where(OccurrenceRow.batch_id == BatchRow.id).exists()
    lost = and_(BatchRow.status == BatchStatus.RECEIVING.value, BatchRow.created_at < before, ~of_occurrence)
    found = session.scalar(select(BatchRow.id).where(lost).order_by(BatchRow.id).limit(1))
    return 0 if found is None else remove_piece(session, found, limit=limit)


def remove_piece(session: Session, batch_id: str, *, limit: int) -> int:
    """Remove some items of a batch; with the last of them its chunks and itself. How many rows that were."""
    lines = select(BatchItemRow.line).where(BatchItemRow.batch_id == batch_id).limit(limit)
    mine = and_(BatchItemRow.batch_id == batch_id, BatchItemRow.line.in_(lines))
    gone = rows_written(session, delete(BatchItemRow).where(mine))
    if gone < limit:
        gone += rows_written(session, delete(BatchChunkRow).where(BatchChunkRow.batch_id == batch_id))
        gone += rows_written(session, delete(BatchRow).where(BatchRow.id == batch_id))
    return gone


def forget(session: Session, batch_id: str) -> None:
    """Remove a batch that nobody has seen."""
    session.execute(delete(BatchItemRow).where(BatchItemRow.batch_id == batch_id))
    session.execute(delete(BatchRow).where(BatchRow.id == batch_id, ~_SEEN))
