"""Ring the doorbell for a run, after its commit; what cannot be rung now, the relay rings later."""

from enum import StrEnum

import structlog
from sqlalchemy.orm import Session

from service.errors import UnavailableError
from service.planning.transact import transact
from service.queue import TaskName
from service.runtime import Runtime
from service.store import outbox, runs
from service.store.bells import Bell

log = structlog.get_logger(__name__)


# What is rung for, as log lines and spans name it: the id, and the line.
_CALLED = {TaskName.SIZE_WORKLOAD: ("run_id", "run_rung"), TaskName.RENDER_QUOTE: ("quote_id", "quote_rung")}


class RungBy(StrEnum):
    """Who rang for a run."""

    REQUEST = "request"
    RELAY = "relay"
    SWEEPER = "sweeper"


def enqueue(runtime: Runtime, bell: Bell, *, task: TaskName = TaskName.SIZE_WORKLOAD, rung_by: RungBy) -> bool:
    """Ring once; the line that says so carries the ids of what is rung for, whichever process rang."""
    id_name, line = _CALLED[task]
    ids = {id_name: bell.run_id, "tenant_id": bell.tenant_id, "request_id": bell.request_id}
    with runtime.tracing.span("ring", parent=bell.traceparent, began_ns=None, rung_by=rung_by, **ids) as span:
        if not runtime.queue.enqueue(task, bell.run_id):
            span.fail("broker_unreachable")
            return False
    log.info(line, rung_by=rung_by, **{**bell.ids, **ids} if id_name == "run_id" else ids)
    return True


def ring(runtime: Runtime, bell: Bell) -> bool:
    """Enqueue and remember that it was; never raises, because the run is safe already."""
    if not enqueue(runtime, bell, rung_by=RungBy.REQUEST):
        return False
    now = runtime.clock()
    run_id = bell.run_id

    def remember(session: Session) -> None:
        # The run before its outbox row, as whoever claims or cancels it takes them: else the two wait for each other.
        runs.mark_sent(session, [run_id], now=now)
        outbox.remove_for(session, run_id)

    try:
        transact(runtime, remember)
    except UnavailableError:
        # Rung and not remembered: the relay rings again, and the second message finds nothing to claim.
        log.warning("ring_not_remembered", **bell.ids)
    return True
