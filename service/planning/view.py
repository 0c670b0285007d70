"""What callers see of workloads and runs: values, detached from any session; never a traceback."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service.store.runs import Versions
from service.store.tables.runs import RunRow, RunStatus
from service.store.tables.workloads import WorkloadRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RunError:
    """Why a run failed: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as its tenant sees it, in canonical JSON; `result` is there once the run is done and it was asked for."""

    id: str
    workload_id: str
    tenant_id: str
    status: RunStatus
    kind: str
    digest: str
    cached: bool
    feasible: bool | None
    attempts: int
    progress_fraction: float
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: RunError | None
    versions: Versions
    request_id: str
    question: bytes
    result: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadView:
    """A workload as its tenant sees it; `question` is canonical JSON with every default spelled out."""

    id: str
    tenant_id: str
    name: str | None
    labels: Mapping[str, str]
    kind: str
    question: bytes
    version: int
    principal: str
    created_at: datetime
    archived_at: datetime | None


def run_view(row: RunRow, *, result: bytes | None = None) -> RunView:
    """The view of a row."""
    status = RunStatus(row.status)
    error = None
    if row.error_code is not None:
        error = RunError(code=row.error_code, message=row.error_message or "")
    return RunView(
        id=row.id,
        workload_id=row.workload_id,
        tenant_id=row.tenant_id,
        status=status,
        kind=row.kind,
        digest=row.digest,
        cached=row.cached,
        feasible=row.feasible,
        attempts=row.attempts,
        progress_fraction=0.0 if row.finished_at is None else 1.0,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=error,
        versions=Versions(
            catalog=row.catalog_version,
            calibration=row.calibration_version,
            engine=row.engine_version,
            price_book_digest=row.price_book_digest,
        ),
        request_id=row.request_id,
        question=row.question.encode(),
        result=result,
    )


def workload_view(row: WorkloadRow) -> WorkloadView:
    """The view of a row."""
    return WorkloadView(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        labels=row.labels,
        kind=row.kind,
        question=row.question.encode(),
        version=row.version,
        principal=row.principal,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )
