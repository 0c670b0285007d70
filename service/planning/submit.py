"""A workload arrives: its run is answered from what is known, joins an equal open run, or is queued."""

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.access import Caller
from service.catalog.resolve import Resolved
from service.errors import UnavailableError
from service.metrics import Answered
from service.planning.answered import answered
from service.planning.drafting import Draft, drafted
from service.planning.ring import ring
from service.planning.transact import transact
from service.planning.view import RunView, run_view
from service.queue import ROUTES, TaskName
from service.runtime import Runtime
from service.schemas.workload import SizingRequest
from service.sizing.check import check
from service.store import outbox, results, runs, workloads
from service.store.bells import bell_of
from service.store.ids import new_id
from service.store.runs import columns_of
from service.store.tables.runs import RunRow, RunStatus

log = structlog.get_logger(__name__)

# Every lost race leaves a leader behind that the next try joins, or an answer that it finds.
_RACES = 5


def submit(runtime: Runtime, caller: Caller, request: SizingRequest, *, request_id: str) -> RunView:
    """Make a workload and its run. A new question is committed first and rung for afterwards."""
    with runtime.tracing.span("submit", tenant_id=caller.tenant_id, request_id=request_id) as span:
        run = _submit(runtime, caller, request, request_id=request_id)
        span.set(run_id=run.id, kind=run.kind, digest=run.digest, status=run.status, cached=run.cached)
        return run


def _submit(runtime: Runtime, caller: Caller, request: SizingRequest, *, request_id: str) -> RunView:
    draft = drafted(runtime, caller, request, request_id=request_id)
    known = runtime.kept.answer(caller.tenant_id, draft.digest)
    if known is not None:
        run = answered(runtime, draft, known)
        if run is not None:
            return run
    if known is None:
        known = runtime.cache.get(caller.tenant_id, draft.digest)
    if known is None:
        _check(runtime, draft.resolved)
    row, body = _write(runtime, draft, known)
    log.info(
        "run_submitted",
        run_id=row.id,
        tenant_id=row.tenant_id,
        request_id=row.request_id,
        kind=row.kind,
        digest=row.digest,
        status=row.status,
        cached=row.cached,
        answered_from=None if body is None else ("store" if known is None else "cache"),
        follows=row.follows_run_id,
    )
    runtime.metrics.submitted(_answered(row))
    if row.status == RunStatus.DONE:
        if known is None and body is not None:
            runtime.cache.put(caller.tenant_id, draft.digest, body)
    elif row.follows_run_id is None:
        ring(runtime, bell_of(row))
    return run_view(row, result=body)


def _answered(row: RunRow) -> Answered:
    if row.cached:
        return Answered.KNOWN
    return Answered.QUEUED if row.follows_run_id is None else Answered.JOINED


def _check(runtime: Runtime, resolved: Resolved) -> None:
    """What the engine would refuse is refused here; an answer that is known needs no check."""
    check(
        resolved.question.workload,
        architecture=resolved.architecture,
        application=resolved.application,
        calibration=runtime.catalog.calibration,
    )


def _write(runtime: Runtime, draft: Draft, known: bytes | None) -> tuple[RunRow, bytes | None]:
    """One transaction: workload, run, outbox entry. Of equal questions at once the unique index picks the leader."""
    for _ in range(_RACES):
        try:
            return transact(runtime, lambda session: _insert(session, draft, known))
        except IntegrityError as error:
            log.info("race_lost", digest=draft.digest, reason=type(error.orig).__name__)
    raise UnavailableError("Too many equal questions arrive at this moment; try again.", retry_after_s=1)


def _insert(session: Session, draft: Draft, known: bytes | None) -> tuple[RunRow, bytes | None]:
    workload = workloads.add(
        session,
        draft.caller.tenant_id,
        name=draft.request.name,
        labels=draft.request.labels,
        kind=draft.kind,
        question=draft.question,
        principal=draft.caller.principal,
        now=draft.now,
    )
    row = _new_run(draft, workload.id)
    # What was at hand is confirmed by the store: a run must never lean on an answer that is nowhere but in memory.
    feasible = None if known is None else results.feasible(session, draft.caller.tenant_id, draft.digest)
    if feasible is None:
        # The leader is looked for before the answer: one that ends in between leaves its answer to be found.
        leader = runs.leader_of(session, draft.caller.tenant_id, draft.digest)
        if leader is not None:
            row.follows_run_id = leader.id
            row.status = leader.status
            row.started_at = draft.now if leader.status == RunStatus.RUNNING else None
            return runs.add(session, row), None
        feasible = results.feasible(session, draft.caller.tenant_id, draft.digest)
    if feasible is not None:
        row.status = RunStatus.DONE.value
        row.cached = True
        row.feasible = feasible
        row.started_at = row.finished_at = draft.now
        body = known if known is not None else results.body(session, draft.caller.tenant_id, draft.digest)
        return runs.add(session, row), body
    runs.add(session, row)
    task = TaskName.SIZE_WORKLOAD
    outbox.add(session, task=task.value, queue=ROUTES[task].value, entity_id=row.id, now=draft.now)
    return row, None


def _new_run(draft: Draft, workload_id: str) -> RunRow:
    return RunRow(
        id=new_id("run", draft.now),
        tenant_id=draft.caller.tenant_id,
        workload_id=workload_id,
        status=RunStatus.QUEUED.value,
        kind=draft.kind,
        digest=draft.digest,
        question=draft.question,
        cached=False,
        attempts=0,
        lease_token=0,
        principal=draft.caller.principal,
        request_id=draft.request_id,
        traceparent=draft.traceparent,
        created_at=draft.now,
        **columns_of(draft.versions),
    )
