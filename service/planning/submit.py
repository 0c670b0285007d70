"""A workload arrives: its run is answered from what is known, joins an equal open run, or is queued."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from service.access import Caller
from service.gathering import Rest
from service.planning.answered import Told, answered, answered_later
from service.planning.audit import author_of, record, workload_created
from service.planning.deciding import announced, decided, insert_run, remembered
from service.planning.drafting import drafted
from service.planning.idempotency import Once, claimed, taken
from service.planning.races import until_settled
from service.planning.transact import transact
from service.planning.view import RunView, run_view
from service.runtime import Runtime
from service.schemas.workload import SizingRequest
from service.store import workloads
from service.store.ids import new_id
from service.store.tables.runs import RunRow


def submit(
    runtime: Runtime, caller: Caller, request: SizingRequest, *, request_id: str, once: Once[RunView] | None = None
) -> RunView:
    """Make a workload and its run. A new question is committed first and rung for afterwards.

    With `once` only where its key is new, else KeyInProgressError, and nothing is written.
    """
    with runtime.tracing.span("submit", tenant_id=caller.tenant_id, request_id=request_id) as span:
        run = _submit(runtime, caller, request, request_id=request_id, once=once)
        span.set(run_id=run.id, kind=run.kind, digest=run.digest, status=run.status, cached=run.cached)
        return run


def submit_known(
    runtime: Runtime, caller: Caller, request: SizingRequest, *, request_id: str, tell: Callable[[Told], Rest]
) -> bool:
    """Have a workload written whose answer this process has kept; `tell` gets its done run once it is committed.

    It is called by another thread, and what it returns a moment later; neither may raise. It is told the run; None, and
    nothing is written, where the store does not hold the answer; or an error. False, and nobody is told, for other
    questions.
    """
    draft = drafted(runtime, caller, request, request_id=request_id)
    known = runtime.kept.answer(caller.tenant_id, draft.digest)
    if known is None:
        return False
    answered_later(runtime, draft, known, tell=tell)
    return True


def _submit(
    runtime: Runtime, caller: Caller, request: SizingRequest, *, request_id: str, once: Once[RunView] | None
) -> RunView:
    draft = drafted(runtime, caller, request, request_id=request_id)
    known = runtime.kept.answer(caller.tenant_id, draft.digest)
    if known is not None:
        run = answered(runtime, draft, known, once=once)
        if run is not None:
            return run
    else:
        known = remembered(runtime, draft)

    def work(session: Session) -> tuple[RunRow, bytes | None]:
        """One transaction: key, workload, run, outbox, audit. Of equal questions the unique index picks the leader."""
        row, body = decided(session, draft, known, workload_id=new_id("wkl", draft.now), version=1)
        if once is not None:
            answer = once.answer(run_view(row, result=body))
            if not claimed(session, runtime, caller.tenant_id, once, answer, resource_id=row.id, now=draft.now):
                raise taken(once)
        workloads.add(
            session,
            caller.tenant_id,
            workload_id=row.workload_id,
            name=request.name,
            labels=request.labels,
            kind=draft.kind,
            question=draft.question,
            principal=caller.principal,
            now=draft.now,
        )
        insert_run(runtime, session, row)
        created = workload_created(caller.tenant_id, row.workload_id, run_id=row.id, status=row.status, at=draft.now)
        record(session, (author_of(caller, request_id), created))
        return row, body

    # Every lost race leaves a leader behind that the next try joins, or an answer that it finds.
    row, body = until_settled(lambda: transact(runtime, work))
    return announced(runtime, row, body, known=known)
