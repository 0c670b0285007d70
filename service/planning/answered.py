"""A question whose answer is at hand: workload and run are written together with all others of the same moment."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from service.metrics import Answered
from service.planning.drafting import Draft
from service.planning.transact import transact
from service.planning.view import RunView
from service.runtime import Runtime
from service.store import results, runs, workloads
from service.store.ids import new_id
from service.store.runs import columns_of
from service.store.tables.runs import RunStatus

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A draft with the ids that it gets."""

    draft: Draft
    workload_id: str
    run_id: str


def answered(runtime: Runtime, draft: Draft, body: bytes) -> RunView | None:
    """The done run of a new workload; None, and nothing written, where the store does not hold the answer."""
    item = _Written(draft=draft, workload_id=new_id("wkl", draft.now), run_id=new_id("run", draft.now))
    feasible: bool | None = runtime.gathering.do(item, lambda items: _write(runtime, items))
    if feasible is None:
        return None
    runtime.metrics.submitted(Answered.KNOWN)
    log.info(
        "run_submitted",
        run_id=item.run_id,
        tenant_id=draft.caller.tenant_id,
        request_id=draft.request_id,
        kind=draft.kind,
        digest=draft.digest,
        status=RunStatus.DONE.value,
        cached=True,
        answered_from="memory",
    )
    return _view(item, feasible=feasible, body=body)


def _write(runtime: Runtime, items: Sequence[_Written]) -> Sequence[bool | None]:
    """One transaction; for each item whether its answer is feasible, None where the store has none."""

    def work(session: Session) -> list[bool | None]:
        stored = results.feasible_of(session, {(item.draft.caller.tenant_id, item.draft.digest) for item in items})
        outcomes = [stored.get((item.draft.caller.tenant_id, item.draft.digest)) for item in items]
        known = [(item, feasible) for item, feasible in zip(items, outcomes, strict=True) if feasible is not None]
        if known:
            workloads.add_many(session, [_workload(item) for item, _ in known])
            runs.add_many(session, [_run(item, feasible=feasible) for item, feasible in known])
        return outcomes

    return transact(runtime, work)


def _workload(item: _Written) -> dict[str, object]:
    draft = item.draft
    return {
        "id": item.workload_id,
        "tenant_id": draft.caller.tenant_id,
        "name": draft.request.name,
        "labels": dict(draft.request.labels),
        "kind": draft.kind,
        "question": draft.question,
        "version": 1,
        "principal": draft.caller.principal,
        "created_at": draft.now,
    }


def _run(item: _Written, *, feasible: bool) -> dict[str, object]:
    draft = item.draft
    return {
        "id": item.run_id,
        "tenant_id": draft.caller.tenant_id,
        "workload_id": item.workload_id,
        "workload_version": 1,
        "status": RunStatus.DONE.value,
        "kind": draft.kind,
        "digest": draft.digest,
        "question": draft.question,
        "cached": True,
        "feasible": feasible,
        "attempts": 0,
        "lease_token": 0,
        "principal": draft.caller.principal,
        "request_id": draft.request_id,
        "traceparent": draft.traceparent,
        "created_at": draft.now,
        "started_at": draft.now,
        "finished_at": draft.now,
        **columns_of(draft.versions),
    }


def _view(item: _Written, *, feasible: bool, body: bytes) -> RunView:
    draft = item.draft
    return RunView(
        id=item.run_id,
        workload_id=item.workload_id,
        workload_version=1,
        tenant_id=draft.caller.tenant_id,
        status=RunStatus.DONE,
        kind=draft.kind,
        digest=draft.digest,
        cached=True,
        feasible=feasible,
        attempts=0,
        progress_fraction=1.0,
        created_at=draft.now,
        started_at=draft.now,
        finished_at=draft.now,
        error=None,
        versions=draft.versions,
        request_id=draft.request_id,
        question=draft.question.encode(),
        result=body,
    )
