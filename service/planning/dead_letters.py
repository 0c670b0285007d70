"""Dead letters: runs of all tenants that ended without an answer, for those who run the service; no tenant's data."""

from dataclasses import dataclass
from datetime import datetime

from service.planning.transact import read
from service.runtime import Runtime
from service.store import runs
from service.store.scope import for_everybody


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A run that failed: which, why, and when; neither whose it was nor what was asked."""

    id: str
    kind: str
    code: str
    attempts: int
    engine_version: str
    request_id: str
    created_at: datetime
    finished_at: datetime


def list_dead_letters(runtime: Runtime, *, before_id: str | None = None, limit: int = 50) -> tuple[DeadLetter, ...]:
    """The newest first; `before_id` is the last id of the page before."""
    with for_everybody():
        rows = read(runtime, lambda session: runs.dead(session, before_id=before_id, limit=limit))
    return tuple(
        DeadLetter(
            id=row.id,
            kind=row.kind,
            code=row.error_code or "",
            attempts=row.attempts,
            engine_version=row.engine_version,
            request_id=row.request_id,
            created_at=row.created_at,
            finished_at=row.finished_at or row.created_at,
        )
        for row in rows
    )
