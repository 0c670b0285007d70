"""Bells: the runs that are to be rung for, each with the ids by which it is followed through the logs."""

from dataclasses import dataclass
from typing import Any

from service.store.tables.runs import RunRow
from service.tracing import trace_id_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Bell:
    """One run that a worker is to be told of. The other ids are None where the run is gone."""

    run_id: str
    tenant_id: str | None
    request_id: str | None
    traceparent: str | None

    @property
    def ids(self) -> dict[str, str | None]:
        """What every line about this run carries."""
        ids = {"run_id": self.run_id, "tenant_id": self.tenant_id, "request_id": self.request_id}
        trace_id = trace_id_of(self.traceparent)
        return ids if trace_id is None else {**ids, "trace_id": trace_id}


COLUMNS: tuple[Any, ...] = (RunRow.tenant_id, RunRow.request_id, RunRow.traceparent)


def bell(run_id: str, tenant_id: str | None, request_id: str | None, traceparent: str | None) -> Bell:
    """The bell of a row of its id and COLUMNS."""
    return Bell(run_id=run_id, tenant_id=tenant_id, request_id=request_id, traceparent=traceparent)


def bell_of(row: RunRow) -> Bell:
    """The bell of a run."""
    return Bell(run_id=row.id, tenant_id=row.tenant_id, request_id=row.request_id, traceparent=row.traceparent)
