"""What becomes of a drafted question: its run is done, follows another, or is queued; written, and then told."""

import structlog
from sqlalchemy.orm import Session

from service.errors import RateLimitedError
from service.metrics import Answered
from service.planning.drafting import Draft
from service.planning.heard import runs_ended
from service.planning.ring import ring
from service.planning.view import RunView, run_view
from service.queue import ROUTES, TaskName
from service.runtime import Runtime
from service.sizing.check import check
from service.store import outbox, results, runs, tenants
from service.store.bells import bell_of
from service.store.ids import new_id
from service.store.runs import columns_of
from service.store.tables.runs import RunRow, RunStatus

log = structlog.get_logger(__name__)

# So long after a refusal some of the open runs have ended.
_RETRY_AFTER_S = 5
# No more runs of one tenant than these are being written at one moment: all processes together have fewer connections.
_AT_ONCE = 256


def remembered(runtime: Runtime, draft: Draft) -> bytes | None:
    """The answer that the cache has; where it has none, what the engine would refuse is refused here."""
    known = runtime.cache.get(draft.caller.tenant_id, draft.digest)
    if known is None:
        check(
            draft.resolved.question.workload,
            architecture=draft.resolved.architecture,
            application=draft.resolved.application,
            calibration=runtime.catalog.calibration,
        )
    return known


def decided(
    session: Session, draft: Draft, known: bytes | None, *, workload_id: str, version: int
) -> tuple[RunRow, bytes | None]:
    """The run as it will be written, and its answer where there is one; `known` is the answer that is at hand."""
    row = _new_run(draft, workload_id=workload_id, version=version)
    # What was at hand is confirmed by the store: a run must never lean on an answer that is nowhere but in memory.
    feasible = None if known is None else results.feasible(session, draft.caller.tenant_id, draft.digest)
    if feasible is None:
        # The leader is looked for before the answer: one that ends in between leaves its answer to be found.
        leader = runs.leader_of(session, draft.caller.tenant_id, draft.digest)
        if leader is not None:
            row.follows_run_id = leader.id
            row.status = leader.status
            row.started_at = draft.now if leader.status == RunStatus.RUNNING else None
            return row, None
        feasible = results.feasible(session, draft.caller.tenant_id, draft.digest)
    if feasible is None:
        _check_room(session, draft)
        return row, None
    row.status = RunStatus.DONE.value
    row.cached = True
    row.feasible = feasible
    row.started_at = row.finished_at = draft.now
    return row, known if known is not None else results.body(session, draft.caller.tenant_id, draft.digest)


def _check_room(session: Session, draft: Draft) -> None:
    """RateLimitedError where a run that has to wait for a worker would be one too many of its tenant.

    Nobody sees what others are about to commit, so near the limit a tenant's runs are written one after the other.
    """
    tenant_id, most = draft.caller.tenant_id, draft.open_runs_max
    n_open = runs.count_open(session, tenant_id)
    if most - _AT_ONCE < n_open < most:
        tenants.hold(session, tenant_id)
        n_open = runs.count_open(session, tenant_id)
    if n_open >= most:
        raise RateLimitedError(
            f"Your tenant may have {most} open runs at once; send it again when some of them have ended, or cancel "
            "those that nobody waits for.",
            retry_after_s=_RETRY_AFTER_S,
        )


def insert_run(runtime: Runtime, session: Session, row: RunRow) -> None:
    """Write the run, and what must be rung for or told; IntegrityError when another one leads on it by now."""
    runs.add(session, row)
    runs_ended(runtime, session, [row])
    if row.status == RunStatus.QUEUED and row.follows_run_id is None:
        task = TaskName.SIZE_WORKLOAD
        outbox.add(session, task=task.value, queue=ROUTES[task].value, entity_id=row.id, now=row.created_at)


def announced(runtime: Runtime, row: RunRow, body: bytes | None, *, known: bytes | None) -> RunView:
    """The run after its commit: a new question is rung for, an answer that only the store knew goes to the cache."""
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
            runtime.cache.put(row.tenant_id, row.digest, body)
    elif row.follows_run_id is None:
        ring(runtime, bell_of(row))
    return run_view(row, result=body)


def _answered(row: RunRow) -> Answered:
    if row.cached:
        return Answered.KNOWN
    return Answered.QUEUED if row.follows_run_id is None else Answered.JOINED


def _new_run(draft: Draft, *, workload_id: str, version: int) -> RunRow:
    return RunRow(
        id=new_id("run", draft.now),
        tenant_id=draft.caller.tenant_id,
        workload_id=workload_id,
        workload_version=version,
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
