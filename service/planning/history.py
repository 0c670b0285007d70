"""The versions of a workload: what was asked before, and by whom. Reads only."""

import re

from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import NotFoundError
from service.planning.reading import workload_of
from service.planning.transact import read
from service.planning.view import WorkloadVersionView, version_view
from service.runtime import Runtime
from service.store import workloads
from service.store.tables.workloads import WorkloadRow, WorkloadVersionRow

# As versions are numbered, and small enough for any database.
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def list_versions(
    runtime: Runtime, caller: Caller, workload_id: str, *, before: int | None = None, limit: int = 50
) -> tuple[WorkloadVersionView, ...]:
    """The versions older than `before`, newest first; NotFoundError when the caller's tenant has no such workload."""

    def query(session: Session) -> tuple[WorkloadVersionView, ...]:
        newest = workload_of(session, caller, workload_id)
        from_top = before is None or before > newest.version
        older = workloads.replaced(session, newest, before=newest.version if before is None else before, limit=limit)
        rows: list[WorkloadRow | WorkloadVersionRow] = [*([newest] if from_top else []), *older]
        return tuple(version_view(row) for row in rows[:limit])

    return read(runtime, query)


def get_version(runtime: Runtime, caller: Caller, workload_id: str, *, number: str) -> WorkloadVersionView:
    """One version by its number; NotFoundError when the workload has none of it."""

    def query(session: Session) -> WorkloadVersionView:
        newest = workload_of(session, caller, workload_id)
        if number == str(newest.version):
            return version_view(newest)
        named = _NUMBER.fullmatch(number)
        row = workloads.version(session, caller.tenant_id, workload_id, int(number)) if named else None
        if row is None:
            raise NotFoundError(f"Workload {newest.id} has no version {number[:16]!r}; its newest is {newest.version}.")
        return version_view(row)

    return read(runtime, query)
