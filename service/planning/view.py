"""What callers see of workloads and runs: values, detached from any session; never a traceback."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service.store.runs import Versions
from service.store.tables.runs import RunRow, RunStatus
from service.store.tables.workloads import WorkloadRow, WorkloadVersionRow


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
    workload_version: int
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
    changed_at: datetime | None
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadVersionView:
    """One version of a workload as its tenant sees it; `replaced_at` is absent for the newest."""

    workload_id: str
    version: int
    name: str | None
    labels: Mapping[str, str]
    kind: str
    question: bytes
    principal: str
    created_at: datetime
    replaced_at: datetime | None


def run_view(row: RunRow, *, result: bytes | None = None) -> RunView:
    """The view of a row."""
    status = RunStatus(row.status)
    error = None
    if row.error_code is not None:
        error = RunError(code=row.error_code, message=row.error_message or "")
    return RunView(
        id=row.id,
        workload_id=row.workload_id,
        workload_version=row.workload_version,
        tenant_id=row.tenant_id,
        status=status,
        kind=row.kind,
        digest=row.digest,
        cached=row.cached,
        feasible=row.feasible,
        attempts=row.attempts,
        progress_fraction=1.0 if status is RunStatus.DONE else 0.0,
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
        changed_at=row.changed_at,
        archived_at=row.archived_at,
    )


def version_view(row: WorkloadRow | WorkloadVersionRow) -> WorkloadVersionView:
    """The view of a row; the newest version is the workload's own row."""
    if isinstance(row, WorkloadVersionRow):
        workload_id, created_at, replaced_at = row.workload_id, row.created_at, row.replaced_at
    else:
        workload_id, created_at, replaced_at = row.id, row.changed_at or row.created_at, None
    return WorkloadVersionView(
        workload_id=workload_id,
        version=row.version,
        name=row.name,
        labels=row.labels,
        kind=row.kind,
        question=row.question.encode(),
        principal=row.principal,
        created_at=created_at,
        replaced_at=replaced_at,
    )
