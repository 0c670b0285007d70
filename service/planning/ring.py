"""Ring the doorbell for a run, after its commit; what cannot be rung now, the relay rings later."""

import structlog
from sqlalchemy.orm import Session

from service.errors import UnavailableError
from service.planning.transact import transact
from service.queue import TaskName
from service.runtime import Runtime
from service.store import outbox, runs

log = structlog.get_logger(__name__)


def ring(runtime: Runtime, run_id: str) -> bool:
    """Enqueue and remember that it was; never raises, because the run is safe already."""
    if not runtime.queue.enqueue(TaskName.SIZE_WORKLOAD, run_id):
        return False
    now = runtime.clock()

    def remember(session: Session) -> None:
        outbox.remove_for(session, run_id)
        runs.mark_sent(session, [run_id], now=now)

    try:
        transact(runtime, remember)
    except UnavailableError:
        # Rung and not remembered: the relay rings again, and the second message finds nothing to claim.
        log.warning("ring_not_remembered", run_id=run_id)
    return True
