"""A workload is changed, which makes its next version and a run of that, or archived; over the newest version only."""

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, PreconditionFailedError
from service.planning.audit import Action, Change, author_of, record, state_of_version
from service.planning.deciding import announced, decided, insert_run, remembered
from service.planning.drafting import Draft, drafted
from service.planning.races import OvertakenError, until_settled
from service.planning.reading import get_run, workload_of
from service.planning.transact import transact
from service.planning.view import RunView
from service.runtime import Runtime
from service.schemas.workload import SizingRequest
from service.store import runs, workloads
from service.store.tables.runs import RunRow
from service.store.tables.workloads import WorkloadRow

log = structlog.get_logger(__name__)


def change(
    runtime: Runtime,
    caller: Caller,
    workload_id: str,
    request: SizingRequest,
    *,
    version: int | None,
    request_id: str,
) -> RunView:
    """Write the version after `version` (None: after whichever is newest) and its run, as POST makes runs.

    What changes neither name, labels nor question makes no version: it is answered with the run of this one that is
    open or was done under the versions of today, and only where there is none it makes another run of it. Raises
    NotFoundError, ConflictError for an archived workload, PreconditionFailedError when it was changed since.
    """
    with runtime.tracing.span("change", tenant_id=caller.tenant_id, request_id=request_id) as span:
        run = _change(runtime, caller, workload_id, request, version=version, request_id=request_id)
        span.set(run_id=run.id, kind=run.kind, digest=run.digest, status=run.status, cached=run.cached)
        return run


def _change(
    runtime: Runtime,
    caller: Caller,
    workload_id: str,
    request: SizingRequest,
    *,
    version: int | None,
    request_id: str,
) -> RunView:
    draft = drafted(runtime, caller, request, request_id=request_id)
    known = runtime.kept.answer(caller.tenant_id, draft.digest) or remembered(runtime, draft)

    def work(session: Session) -> tuple[RunRow, bytes | None] | str:
        old = workload_of(session, caller, workload_id)
        if old.archived_at is not None:
            raise ConflictError(f"Workload {old.id} is archived, and changed no more; post a new one.")
        _expect(old, version)
        if (old.name, old.labels, old.question) != (request.name, request.labels, draft.question):
            return _new_version(runtime, session, draft, known, old)
        standing = runs.standing(session, old.tenant_id, old.id, version=old.version, digest=draft.digest)
        return _new_run(runtime, session, draft, known, old) if standing is None else standing

    written = until_settled(lambda: transact(runtime, work))
    if isinstance(written, str):
        return get_run(runtime, caller, written)
    return announced(runtime, *written, known=known)


def _new_version(
    runtime: Runtime, session: Session, draft: Draft, known: bytes | None, old: WorkloadRow
) -> tuple[RunRow, bytes | None]:
    row, body = decided(session, draft, known, workload_id=old.id, version=old.version + 1)
    if not workloads.replace(session, old, now=draft.now, **_asked(draft)):
        raise OvertakenError
    insert_run(runtime, session, row)
    new_state = state_of_version(row.workload_version, run_id=row.id, status=row.status)
    changed = _changed(Action.WORKLOAD_CHANGED, old, new_state=new_state, at=draft.now)
    record(session, (author_of(draft.caller, draft.request_id), changed))
    return row, body


def _new_run(
    runtime: Runtime, session: Session, draft: Draft, known: bytes | None, old: WorkloadRow
) -> tuple[RunRow, bytes | None]:
    """Another run of the same version: the others failed, were cancelled or answered under versions of the past."""
    row, body = decided(session, draft, known, workload_id=old.id, version=old.version)
    insert_run(runtime, session, row)
    created = Change(
        at=draft.now,
        action=Action.RUN_CREATED,
        tenant_id=row.tenant_id,
        resource_id=row.id,
        old_state=None,
        new_state=row.status,
    )
    record(session, (author_of(draft.caller, draft.request_id), created))
    return row, body


def _asked(draft: Draft) -> dict[str, Any]:
    return {
        "name": draft.request.name,
        "labels": dict(draft.request.labels),
        "kind": draft.kind,
        "question": draft.question,
        "principal": draft.caller.principal,
    }


def archive(runtime: Runtime, caller: Caller, workload_id: str, *, version: int | None, request_id: str) -> None:
    """Archive the workload, of that version or (None) of any; one that is archived already stays as it is.

    Raises NotFoundError, and PreconditionFailedError when it was changed since that version.
    """
    now = runtime.clock()

    def work(session: Session) -> bool:
        row = workload_of(session, caller, workload_id)
        if row.archived_at is not None:
            return False
        _expect(row, version)
        if not workloads.archive(session, row, now=now):
            raise OvertakenError
        archived = _changed(Action.WORKLOAD_ARCHIVED, row, new_state="archived", at=now)
        record(session, (author_of(caller, request_id), archived))
        return True

    if until_settled(lambda: transact(runtime, work)):
        log.info("workload_archived", workload_id=workload_id)


def _changed(action: Action, old: WorkloadRow, *, new_state: str, at: datetime) -> Change:
    return Change(
        at=at,
        action=action,
        tenant_id=old.tenant_id,
        resource_id=old.id,
        old_state=state_of_version(old.version),
        new_state=new_state,
    )


def _expect(row: WorkloadRow, version: int | None) -> None:
    if version is not None and row.version != version:
        raise PreconditionFailedError(f"Workload {row.id} is at version {row.version} by now; read it again.")
