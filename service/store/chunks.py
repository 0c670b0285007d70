"""Chunks of batches: who may take one, what it holds, and how its items end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.store import batches
from service.store.stated import stated
from service.store.tables.batches import (
    BatchChunkRow,
    BatchItemRow,
    BatchRow,
    ChunkStatus,
    ItemState,
)
from service.store.tables.tenants import TenantRow
from service.store.written import rows_written

QUEUED = stated(BatchChunkRow.status, ChunkStatus.QUEUED)
RUNNING = stated(BatchChunkRow.status, ChunkStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A chunk that somebody holds by its token, and the batch that it belongs to.

    `lapsed`: whoever held it before has let its lease run out.
    """

    batch_id: str
    number: int
    tenant_id: str
    token: int
    attempts: int
    request_id: str
    traceparent: str | None
    items_call: int | None
    lapsed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem:
    """An item that has no end yet."""

    line: int
    asked: str
    attempts: int
    spares: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedItem:
    """The end of one item."""

    line: int
    state: ItemState
    name: str | None = None
    kind: str | None = None
    digest: str | None = None
    error_code: str | None = None
    problem: str | None = None


def claim(session: Session, batch_id: str, number: int, *, now: datetime, lease_s: float) -> Claimed | None:
    """Take a queued chunk, or a running one whose lease has run out; None when there is nothing to take.

    The batch of a disabled tenant waits until the tenant may work again.
    """
    batch = session.execute(
        select(BatchRow.request_id, BatchRow.traceparent)
        .join(TenantRow, TenantRow.id == BatchRow.tenant_id)
        .where(BatchRow.id == batch_id, TenantRow.disabled_at.is_(None))
    ).one_or_none()
    if batch is None or not batches.start(session, batch_id, now=now):
        return None
    mine, lease_until = this_chunk(batch_id, number), now + timedelta(seconds=lease_s)
    lapsed = False
    row = _taken(session, and_(mine, QUEUED), lease_until=lease_until)
    if row is None:
        lapsed = True
        row = _taken(session, and_(mine, RUNNING, BatchChunkRow.lease_until < now), lease_until=lease_until)
    if row is None:
        return None
    return Claimed(
        batch_id=batch_id,
        number=number,
        tenant_id=row.tenant_id,
        token=row.lease_token,
        attempts=row.attempts,
        request_id=batch.request_id,
        traceparent=batch.traceparent,
        items_call=row.items_call,
        lapsed=lapsed,
    )


def _taken(session: Session, which: ColumnElement[bool], *, lease_until: datetime) -> Any:
    query = (
        update(BatchChunkRow)
        .where(which)
        .values(
            status=ChunkStatus.RUNNING.value,
            attempts=BatchChunkRow.attempts + 1,
            lease_token=BatchChunkRow.lease_token + 1,
            lease_until=lease_until,
        )
        .returning(BatchChunkRow.tenant_id, BatchChunkRow.lease_token, BatchChunkRow.attempts, BatchChunkRow.items_call)
    )
    return session.execute(query.execution_options(synchronize_session=False)).one_or_none()


def open_items(session: Session, batch_id: str, number: int) -> list[OpenItem]:
    """The items of a chunk that have no end yet, in the order of their lines."""
    mine = and_(BatchItemRow.batch_id == batch_id, BatchItemRow.chunk == number)
    columns = (BatchItemRow.line, BatchItemRow.asked, BatchItemRow.attempts, BatchItemRow.spares)
    query = select(*columns).where(mine, BatchItemRow.state == ItemState.QUEUED.value)
    rows = session.execute(query.order_by(BatchItemRow.line))
    return [OpenItem(line=row.line, asked=row.asked, attempts=row.attempts, spares=row.spares) for row in rows]


def extend(session: Session, claimed: Claimed, *, now: datetime, lease_s: float) -> bool:
    """Hold the chunk for another lease; False when somebody else holds it, or nobody may any more."""
    return _held(session, claimed, {"lease_until": now + timedelta(seconds=lease_s)})


def attempt(session: Session, claimed: Claimed, item: OpenItem) -> None:
    """An item of a held chunk, as it was when that was claimed, is about to be sized alone."""
    _tried(session, claimed, item, {"attempts": item.attempts + 1})


def spare(session: Session, claimed: Claimed, item: OpenItem) -> None:
    """It was stopped by no fault of its own, whether it had been noted already or not."""
    _tried(session, claimed, item, {"attempts": item.attempts + 1, "spares": item.spares + 1})


def _tried(session: Session, claimed: Claimed, item: OpenItem, values: Mapping[str, int]) -> None:
    mine = and_(BatchItemRow.batch_id == claimed.batch_id, BatchItemRow.line == item.line)
    rows_written(session, update(BatchItemRow).where(mine).values(**values))


def settle(
    session: Session,
    claimed: Claimed,
    ended: Sequence[EndedItem],
    *,
    counts: batches.Ended,
    then: ChunkStatus,
    attempts: int,
    items_call: int | None,
    now: datetime,
) -> bool:
    """Write the ends of items of a held chunk, all or none; False when it is not held any more, or cancelled.

    `then` it is done, queued for the items that are left, or still held; `attempts` are what it has had from now on.
    """
    if not batches.count(session, claimed.batch_id, counts, now=now):
        return False
    values: dict[str, Any] = {
        "status": then.value,
        "open_items": BatchChunkRow.open_items - len(ended),
        "attempts": attempts,
        "items_call": items_call,
    }
    if then is not ChunkStatus.RUNNING:
        values |= {"lease_until": None, "sent_at": None}
    if not _held(session, claimed, values):
        return False
    _write(session, claimed, ended)
    return True


def _write(session: Session, claimed: Claimed, ended: Sequence[EndedItem]) -> None:
    if not ended:
        return
    columns = ("state", "name", "kind", "digest", "error_code", "problem")
    rows = [
        {"batch_id": claimed.batch_id, "line": one.line, **{name: getattr(one, name) for name in columns}}
        for one in ended
    ]
    session.execute(update(BatchItemRow), rows)


def _held(session: Session, claimed: Claimed, values: Mapping[str, Any]) -> bool:
    holds = and_(this_chunk(claimed.batch_id, claimed.number), BatchChunkRow.lease_token == claimed.token, RUNNING)
    return rows_written(session, update(BatchChunkRow).where(holds).values(**values)) == 1


def this_chunk(batch_id: str, number: int) -> ColumnElement[bool]:
    """The chunk of that number."""
    return and_(BatchChunkRow.batch_id == batch_id, BatchChunkRow.number == number)
