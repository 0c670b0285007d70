"""Runs as people look for them: under the names of their workloads, a page at a time, in two queries."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.access import Caller
from service.planning.transact import read
from service.planning.view import RunView, run_view
from service.runtime import Runtime
from service.store import runs, workloads
from service.store.filters import ANY_RUN, RunFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRun:
    """A run without its result, and what its workload is called now."""

    run: RunView
    name: str | None


def named_runs(
    runtime: Runtime, caller: Caller, *, only: RunFilter = ANY_RUN, before_id: str | None = None, limit: int = 50
) -> tuple[NamedRun, ...]:
    """The tenant's runs, newest first; `before_id` is the last id of the page before."""

    def query(session: Session) -> tuple[NamedRun, ...]:
        rows = runs.newest(session, caller.tenant_id, only=only, before_id=before_id, limit=limit)
        names = workloads.names(session, caller.tenant_id, {row.workload_id for row in rows})
        return tuple(NamedRun(run=run_view(row), name=names.get(row.workload_id)) for row in rows)

    return read(runtime, query)
