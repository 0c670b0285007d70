"""Chunks of batches: who may take one, what it holds, and which ones are to be rung for, in turn between tenants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, case, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.store import batches
from service.store.insert import insert_into
from service.store.stated import stated, stated_in
from service.store.tables.batches import (
    OPEN_CHUNKS,
    BatchAnswerRow,
    BatchChunkRow,
    BatchItemRow,
    BatchRow,
    ChunkStatus,
    ItemState,
)
from service.store.tables.runs import ResultRow
from service.store.tables.tenants import TenantRow

_QUEUED = stated(BatchChunkRow.status, ChunkStatus.QUEUED)
_RUNNING = stated(BatchChunkRow.status, ChunkStatus.RUNNING)
_IS_OPEN = stated_in(BatchChunkRow.status, OPEN_CHUNKS)
# Databases have a limit of places in a statement.
_AT_ONCE = 400


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A chunk that is to be rung for, as it was when it was looked at."""

    batch_id: str
    number: int
    tenant_id: str
    sent_at: datetime | None


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
    mine, lease_until = _this(batch_id, number), now + timedelta(seconds=lease_s)
    lapsed = False
    row = _taken(session, and_(mine, _QUEUED), lease_until=lease_until)
    if row is None:
        lapsed = True
        row = _taken(session, and_(mine, _RUNNING, BatchChunkRow.lease_until < now), lease_until=lease_until)
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
    _rows(session, update(BatchItemRow).where(mine).values(**values))


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
    holds = and_(_this(claimed.batch_id, claimed.number), BatchChunkRow.lease_token == claimed.token, _RUNNING)
    return _rows(session, update(BatchChunkRow).where(holds).values(**values)) == 1


def known_answers(session: Session, tenant_id: str, digests: Sequence[str]) -> dict[str, bool]:
    """Which of these questions a batch of the tenant has an answer to, and whether it is feasible."""
    found: dict[str, bool] = {}
    for start in range(0, len(digests), _AT_ONCE):
        these = digests[start : start + _AT_ONCE]
        query = select(BatchAnswerRow.digest, BatchAnswerRow.feasible).where(
            BatchAnswerRow.tenant_id == tenant_id, BatchAnswerRow.digest.in_(these)
        )
        found.update((row.digest, row.feasible) for row in session.execute(query))
    return found


def stored_results(session: Session, tenant_id: str, digests: Sequence[str]) -> list[str]:
    """Which of these questions a run of the tenant has answered."""
    found: list[str] = []
    for start in range(0, len(digests), _AT_ONCE):
        these = digests[start : start + _AT_ONCE]
        query = select(ResultRow.digest).where(ResultRow.tenant_id == tenant_id, ResultRow.digest.in_(these))
        found += session.scalars(query)
    return found


def put_answers(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep answers unless they are there; equal questions have equal answers, so the first ones stand."""
    if rows:
        insert = insert_into(BatchAnswerRow, session.get_bind().dialect.name)
        session.connection().execute(insert.on_conflict_do_nothing(), list(rows))


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
    lapsed = and_(_RUNNING, BatchChunkRow.lease_until < now)
    since_lapse = or_(unheard, BatchChunkRow.sent_at <= BatchChunkRow.lease_until)
    return or_(and_(_QUEUED, unheard), and_(lapsed, since_lapse))


def mark_sent(session: Session, one: Waiting, *, now: datetime) -> bool:
    """The bell is about to be rung; False when somebody else has rung it since it was looked at."""
    same = BatchChunkRow.sent_at.is_(None) if one.sent_at is None else BatchChunkRow.sent_at == one.sent_at
    mine = and_(_this(one.batch_id, one.number), _IS_OPEN, same)
    return _rows(session, update(BatchChunkRow).where(mine).values(sent_at=now)) == 1


def unmark(session: Session, one: Waiting) -> None:
    """The bell could not be rung after all."""
    mine = and_(_this(one.batch_id, one.number), _IS_OPEN)
    _rows(session, update(BatchChunkRow).where(mine).values(sent_at=one.sent_at))


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


def _this(batch_id: str, number: int) -> ColumnElement[bool]:
    return and_(BatchChunkRow.batch_id == batch_id, BatchChunkRow.number == number)


def _rows(session: Session, statement: Any) -> int:
    done = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", done).rowcount
