"""What is over is kept for so long and then removed: a piece per transaction, a slice per task, behind all work."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy.orm import Session

from service.planning.transact import transact
from service.queue import QueueName, TaskName, TimeLimitReached
from service.runtime import Runtime
from service.settings import Settings
from service.store import retention

log = structlog.get_logger(__name__)

_PIECE = 1000
# Room enough in the soft limit for one slow piece more.
_SLICE_FRACTION = 0.4


class Removal(Protocol):
    """Removes a piece of what is older; how many rows went, 0 when nothing is left that is."""

    def __call__(self, session: Session, *, before: datetime, limit: int) -> int:
        """One piece."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One kind of thing: for how many days it is kept, 0 for ever, and how what is older is removed."""

    name: str
    days: int
    removal: Removal


class _Runs:
    """Removes runs from the oldest on, without looking again at those that were left."""

    def __init__(self) -> None:
        self._after_id = ""

    def __call__(self, session: Session, *, before: datetime, limit: int) -> int:
        found = retention.runs(session, before=before, limit=limit, after_id=self._after_id)
        self._after_id = found[-1] if found else self._after_id
        return len(found)


def kept(settings: Settings) -> tuple[Kept, ...]:
    """Everything that is removed one day; what refers to something goes before that."""
    batches_days, runs_days = settings.keep_batches_days, settings.keep_runs_days
    drafts_days, deliveries_days = settings.keep_draft_documents_days, settings.keep_deliveries_days
    return (
        Kept(name="occurrences", days=settings.keep_occurrences_days, removal=retention.occurrences),
        Kept(name="batches", days=batches_days, removal=retention.batches),
        Kept(name="batch_answers", days=batches_days, removal=retention.batch_answers),
        Kept(name="runs", days=runs_days, removal=_Runs()),
        Kept(name="results", days=runs_days, removal=retention.results),
        Kept(name="draft_documents", days=drafts_days, removal=retention.draft_documents),
        Kept(name="webhook_events", days=deliveries_days, removal=retention.webhook_events),
        Kept(name="audit_events", days=settings.keep_audit_days, removal=retention.audit_events),
    )


def remove_old(runtime: Runtime, *, piece: int = _PIECE) -> bool:
    """Remove what is too old, for a while; True when nothing is left that is, else somebody is rung to go on."""
    began_s, slice_s = time.monotonic(), runtime.settings.task_soft_limit_s * _SLICE_FRACTION
    now = runtime.clock()
    try:
        for one in kept(runtime.settings):
            while one.days and _removed(runtime, one, now - timedelta(days=one.days), piece):
                if time.monotonic() - began_s > slice_s or runtime.queue.depth(QueueName.INTERACTIVE):
                    runtime.queue.enqueue(TaskName.PRUNE)
                    return False
    except TimeLimitReached:
        # What was too slow for one piece is tried again with the next round of the dispatcher.
        log.warning("pruning_too_slow")
        return False
    return True


def _removed(runtime: Runtime, one: Kept, before: datetime, piece: int) -> int:
    gone = transact(runtime, lambda session: one.removal(session, before=before, limit=piece))
    if gone:
        log.info("pruned", how=one.name, items=gone)
    return gone
