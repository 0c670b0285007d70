"""A batch is cancelled: what is answered stays, what is not is answered no more."""

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError
from service.planning.audit import Action, Change, author_of, record
from service.planning.batch.reading import missing
from service.planning.batch.view import BatchView, batch_view
from service.planning.heard import batch_ended
from service.planning.transact import transact
from service.runtime import Runtime
from service.store import batches
from service.store.tables.batches import OPEN_BATCHES, BatchStatus

log = structlog.get_logger(__name__)


def cancel(runtime: Runtime, caller: Caller, batch_id: str, *, request_id: str) -> BatchView:
    """The batch, cancelled now or before; NotFoundError when there is none, ConflictError when it is done."""
    now = runtime.clock()

    def work(session: Session) -> BatchView:
        row = batches.hold(session, caller.tenant_id, batch_id)
        if row is None:
            raise missing(batch_id)
        if row.status == BatchStatus.CANCELLED:
            return batch_view(row, running=0, now=now)
        if row.status not in OPEN_BATCHES:
            raise ConflictError(f"Batch {row.id} is {row.status} already; only one that is not can be cancelled.")
        ended = Change(
            at=now,
            action=Action.BATCH_CANCELLED,
            tenant_id=row.tenant_id,
            resource_id=row.id,
            old_state=row.status,
            new_state=BatchStatus.CANCELLED.value,
        )
        batches.cancel(session, row, now=now)
        record(session, (author_of(caller, request_id), ended))
        batch_ended(runtime, session, row.tenant_id, row.id)
        return batch_view(row, running=0, now=now)

    view = transact(runtime, work)
    log.info("batch_cancelled", batch_id=view.id, tenant_id=caller.tenant_id, request_id=request_id)
    return view
