"""What a tenant may read: its workloads and runs, one or many. Another tenant's looks like none."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import NotFoundError
from service.kept import KeptRun
from service.planning.transact import read
from service.planning.view import RunView, WorkloadView, run_view, workload_view
from service.runtime import Runtime
from service.schemas.run import packed_answer, run_beginning, run_chunks, summary_json
from service.store import results, runs, workloads
from service.store.filters import ANY_RUN, LISTED_WORKLOADS, RunFilter, WorkloadFilter
from service.store.tables.runs import RunRow, RunStatus
from service.store.tables.workloads import WorkloadRow


class RunAnswer(NamedTuple):
    """A run as callers read it: `summary` is its JSON without the result, `result` the answer, to the byte.

    Under one digest a tenant has one answer.
    """

    id: str
    status: RunStatus
    summary: bytes
    result: bytes | None
    tenant_id: str
    digest: str

    @property
    def chunks(self) -> tuple[bytes, ...]:
        """The whole in pieces: the answer is long, and one for all who ask, until it is sent."""
        return run_chunks(self.summary, self.result)

    @property
    def body(self) -> bytes:
        """The whole."""
        return b"".join(self.chunks)


def read_run(runtime: Runtime, caller: Caller, run_id: str) -> RunAnswer:
    """The run as callers read it; a done one is read from the store once, for it never changes."""
    return kept_run(runtime, caller, run_id) or run_answer(runtime, get_run(runtime, caller, run_id))


def kept_run(runtime: Runtime, caller: Caller, run_id: str) -> RunAnswer | None:
    """A done run of the caller's tenant that this process has kept; None says nothing about the run."""
    run = runtime.kept.run(caller.tenant_id, run_id)
    answer = None if run is None else runtime.kept.answer(caller.tenant_id, run.digest)
    if run is None or answer is None:
        return None
    return done_answer(caller.tenant_id, run_id, run, answer)


def done_answer(tenant_id: str, run_id: str, run: KeptRun, result: bytes) -> RunAnswer:
    """A done run as callers read it."""
    return RunAnswer(
        id=run_id, status=RunStatus.DONE, summary=run.summary, result=result, tenant_id=tenant_id, digest=run.digest
    )


def chunks_by_gzip(runtime: Runtime, run: RunAnswer) -> tuple[bytes, ...]:
    """A run with its result by gzip, in pieces."""
    result = run.result
    assert result is not None
    packed = runtime.kept.packed(run.tenant_id, run.digest, lambda: packed_answer(result))
    return packed.behind(run_beginning(run.summary))


def run_answer(runtime: Runtime, view: RunView) -> RunAnswer:
    """A run that was just read, as callers read it; kept when it is done. Only for runs that are committed."""
    answer = RunAnswer(
        id=view.id,
        status=view.status,
        summary=summary_json(view),
        result=view.result,
        tenant_id=view.tenant_id,
        digest=view.digest,
    )
    if view.result is not None:
        runtime.kept.keep_answer(view.tenant_id, view.digest, view.result)
        runtime.kept.keep_run(view.tenant_id, view.id, KeptRun(summary=answer.summary, digest=view.digest))
    return answer


def get_run(runtime: Runtime, caller: Caller, run_id: str) -> RunView:
    """The run with its result; NotFoundError when the caller's tenant has no such run."""

    def query(session: Session) -> tuple[RunRow | None, bytes | None]:
        row = runs.get(session, caller.tenant_id, run_id)
        if row is None or row.status != RunStatus.DONE:
            return row, None
        return row, results.body(session, caller.tenant_id, row.digest)

    row, body = read(runtime, query)
    if row is None:
        raise NotFoundError(f"There is no run {run_id[:64]!r}.")
    return run_view(row, result=body)


def list_runs(
    runtime: Runtime,
    caller: Caller,
    *,
    only: RunFilter = ANY_RUN,
    before_id: str | None = None,
    limit: int = 50,
) -> tuple[RunView, ...]:
    """The tenant's runs without their results, newest first; `before_id` is the last id of the page before."""
    rows = read(
        runtime, lambda session: runs.newest(session, caller.tenant_id, only=only, before_id=before_id, limit=limit)
    )
    return tuple(run_view(row) for row in rows)


def get_workload(runtime: Runtime, caller: Caller, workload_id: str) -> WorkloadView:
    """The workload; NotFoundError when the caller's tenant has no such workload."""
    return workload_view(read(runtime, lambda session: workload_of(session, caller, workload_id)))


def workload_of(session: Session, caller: Caller, workload_id: str) -> WorkloadRow:
    """The row of it; NotFoundError when the caller's tenant has no such workload."""
    row = workloads.get(session, caller.tenant_id, workload_id)
    if row is None:
        raise NotFoundError(f"There is no workload {workload_id[:64]!r}.")
    return row


def list_workloads(
    runtime: Runtime,
    caller: Caller,
    *,
    only: WorkloadFilter = LISTED_WORKLOADS,
    before_id: str | None = None,
    limit: int = 50,
) -> tuple[WorkloadView, ...]:
    """The tenant's workloads, newest first; `before_id` is the last id of the page before."""
    rows = read(
        runtime,
        lambda session: workloads.newest(session, caller.tenant_id, only=only, before_id=before_id, limit=limit),
    )
    return tuple(workload_view(row) for row in rows)


def list_workload_runs(
    runtime: Runtime, caller: Caller, workload_id: str, *, before_id: str | None = None, limit: int = 50
) -> tuple[RunView, ...]:
    """The runs of one workload, newest first; NotFoundError when the caller's tenant has no such workload."""
    get_workload(runtime, caller, workload_id)
    return list_runs(runtime, caller, only=RunFilter(workload_id=workload_id), before_id=before_id, limit=limit)
