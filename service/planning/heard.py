"""What is told to webhooks of the ends of runs and batches, and of the steps of quotes: how it ended, never what of."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from service.planning.webhooks import Announcement, EventName, announce, announce_many, listened_to
from service.quoting.steps import QuoteStep
from service.runtime import Runtime
from service.store import batches, runs
from service.store.tables.batches import BatchRow, BatchStatus
from service.store.tables.quotes import QuoteRow
from service.store.tables.runs import RunRow, RunStatus

_RUN_ENDS = {
    RunStatus.DONE.value: EventName.RUN_DONE,
    RunStatus.FAILED.value: EventName.RUN_FAILED,
    RunStatus.CANCELLED.value: EventName.RUN_CANCELLED,
}
_BATCH_ENDS = {BatchStatus.DONE.value: EventName.BATCH_DONE, BatchStatus.CANCELLED.value: EventName.BATCH_CANCELLED}


def run_ended(runtime: Runtime, session: Session, tenant_id: str, run_id: str, *, now: datetime) -> None:
    """Tell of a run that ended in this transaction, and of those that followed it to its end."""
    if listened_to(runtime, session, tenant_id, _RUN_ENDS.values()):
        runs_ended(runtime, session, runs.ended_together(session, tenant_id, run_id, at=now))


def runs_ended(runtime: Runtime, session: Session, ended: Iterable[RunRow]) -> None:
    """Tell of runs as they are; of one that is open nothing."""
    announce(runtime, session, *(_of_run(row) for row in ended if row.status in _RUN_ENDS))


def runs_known(runtime: Runtime, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell of runs that were done as they were asked for, given as their columns; unheard, it costs hardly a look."""
    name = EventName.RUN_DONE.value
    heard = {
        tenant_id
        for tenant_id in {row["tenant_id"] for row in rows}
        if any(name in each.events for each in runtime.listeners.of(connection, tenant_id))
    }
    if heard:
        announce_many(runtime, connection, [_of_run(RunRow(**row)) for row in rows if row["tenant_id"] in heard])


def _of_run(row: RunRow) -> Announcement:
    told = {
        "status": row.status,
        "workload_id": row.workload_id,
        "workload_version": row.workload_version,
        "kind": row.kind,
        "feasible": row.feasible,
        "cached": row.cached,
        "error_code": row.error_code,
    }
    return Announcement(
        tenant_id=row.tenant_id,
        name=_RUN_ENDS[row.status],
        subject_id=row.id,
        href=f"/v1/runs/{row.id}",
        data=told,
        at=row.finished_at or row.created_at,
    )


def batch_ended(runtime: Runtime, session: Session, tenant_id: str, batch_id: str) -> None:
    """Tell of a batch, if it ended in this transaction: whoever wrote its last end asks."""
    if not listened_to(runtime, session, tenant_id, _BATCH_ENDS.values()):
        return
    row = batches.get(session, tenant_id, batch_id)
    if row is not None and row.status in _BATCH_ENDS:
        announce(runtime, session, _of_batch(row))


def _of_batch(row: BatchRow) -> Announcement:
    counts: dict[str, Any] = {name: getattr(row, name) for name in ("items", "done", "infeasible", "refused", "failed")}
    return Announcement(
        tenant_id=row.tenant_id,
        name=_BATCH_ENDS[row.status],
        subject_id=row.id,
        href=f"/v1/batches/{row.id}",
        data={"status": row.status, **counts, "reused_items": row.reused_items},
        at=row.finished_at or row.created_at,
    )


def quote_noted(runtime: Runtime, session: Session, row: QuoteRow, action: QuoteStep, *, at: datetime) -> None:
    """Tell what was done to a revision of a quote: the word for it is that of the audit."""
    told = {"state": row.state, "number": row.number, "revision": row.revision, "version": row.version}
    noted = Announcement(
        tenant_id=row.tenant_id,
        name=action,
        subject_id=row.id,
        href=f"/v1/quotes/{row.id}",
        data=told,
        at=at,
    )
    announce(runtime, session, noted)
