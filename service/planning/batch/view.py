"""What callers see of batches: values, detached from any session."""

from dataclasses import dataclass
from datetime import datetime

from service.store.recent_rate import PAUSE_S
from service.store.tables.batches import BatchRow, BatchStatus, ItemState


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCounts:
    """How many items are in each state; together they are all."""

    queued: int
    running: int
    done: int
    infeasible: int
    refused: int
    failed: int
    cancelled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """A batch as its tenant sees it. Rate and time left are None while nothing is known of them.

    That is before the first items have ended, and while nobody works on it.
    """

    id: str
    name: str | None
    status: BatchStatus
    items: int
    counts: BatchCounts
    reused_items: int
    progress_fraction: float
    rate_items_s: float | None
    left_s: float | None
    principal: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemView:
    """An item as its tenant sees it; `problem` and `answer` are the JSON that is kept."""

    line: int
    state: ItemState
    name: str | None
    kind: str | None
    digest: str | None
    attempts: int
    problem: str | None
    answer: str | None


def batch_view(row: BatchRow, *, running: int, now: datetime) -> BatchView:
    """The view of a row; `running` items lie in chunks that workers hold."""
    ended = row.done + row.infeasible + row.refused + row.failed
    left = row.items - ended
    cancelled = row.status == BatchStatus.CANCELLED
    open_now = 0 if cancelled else left
    running = min(running, open_now)
    counts = BatchCounts(
        queued=open_now - running,
        running=running,
        done=row.done,
        infeasible=row.infeasible,
        refused=row.refused,
        failed=row.failed,
        cancelled=left if cancelled else 0,
    )
    rate = _rate_items_s(row, ended, now)
    return BatchView(
        id=row.id,
        name=row.name,
        status=BatchStatus(row.status),
        items=row.items,
        counts=counts,
        reused_items=row.reused_items,
        progress_fraction=round(ended / row.items, 6) if row.items else 1.0,
        rate_items_s=rate,
        left_s=round(open_now / rate, 1) if rate and open_now else None,
        principal=row.principal,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _rate_items_s(row: BatchRow, ended: int, now: datetime) -> float | None:
    """Items per second: of late while it is open and somebody works on it; of the whole, once it has ended."""
    if row.started_at is None or not ended:
        return None
    if row.finished_at is None:
        rate = row.recent_rate_items_s
        paused = row.counted_at is not None and (now - row.counted_at).total_seconds() > PAUSE_S
        return None if rate is None or paused else round(rate, 3)
    spent_s = (row.finished_at - row.started_at).total_seconds()
    return round(ended / spent_s, 3) if spent_s > 0 else None
