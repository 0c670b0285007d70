"""A run is cancelled; whoever waits for the same answer goes on without it."""

from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, NotFoundError
from service.planning.audit import Action, Change, author_of, record
from service.planning.heard import runs_ended
from service.planning.ring import ring
from service.planning.transact import transact
from service.planning.view import RunView, run_view
from service.queue import ROUTES, TaskName
from service.runtime import Runtime
from service.store import following, outbox, runs
from service.store.bells import bell_of
from service.store.tables.runs import OPEN, RunRow, RunStatus

log = structlog.get_logger(__name__)


def cancel(runtime: Runtime, caller: Caller, run_id: str, *, request_id: str) -> RunView:
    """The run, cancelled now or before; NotFoundError when there is none, ConflictError when it has ended otherwise."""
    now = runtime.clock()
    # A whole lease ago: every clock that leases can bear agrees that nobody holds it.
    lapsed_at = now - timedelta(seconds=runtime.settings.lease_s)

    def work(session: Session) -> tuple[RunRow, RunRow | None]:
        row = runs.hold(session, caller.tenant_id, run_id)
        if row is None:
            raise NotFoundError(f"There is no run {run_id[:64]!r}.")
        if row.status == RunStatus.CANCELLED:
            return row, None
        if row.status not in OPEN:
            raise ConflictError(f"Run {row.id} is {row.status} already; only a queued or running one can be cancelled.")
        ended = Change(
            at=now,
            action=Action.RUN_CANCELLED,
            tenant_id=row.tenant_id,
            resource_id=row.id,
            old_state=row.status,
            new_state=RunStatus.CANCELLED.value,
        )
        runs.cancel(session, row, now=now)
        record(session, (author_of(caller, request_id), ended))
        runs_ended(runtime, session, [row])
        outbox.remove_for(session, row.id)
        heir = following.promote_oldest(session, row.id, lapsed_at=lapsed_at) if row.follows_run_id is None else None
        if heir is not None:
            task = TaskName.SIZE_WORKLOAD
            outbox.add(session, task=task.value, queue=ROUTES[task].value, entity_id=heir.id, now=now)
        return row, heir

    row, heir = transact(runtime, work)
    log.info("run_cancelled", tenant_id=row.tenant_id, kind=row.kind, run_id=row.id, promoted=heir and heir.id)
    if heir is not None:
        ring(runtime, bell_of(heir))
    return run_view(row)
