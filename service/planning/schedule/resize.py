"""An occurrence is worked on: its workloads are selected into a batch, which sizes them, and then compared.

Each step is a page of workloads and one short transaction, written only while the claim is still held; a worker that
dies loses one step, and the next one goes on where it stopped. Between two steps a person's question is let through.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

import structlog
from sqlalchemy.orm import Session

from service.planning.audit import SERVICE, Action, Author, Change, record
from service.planning.batch.feed import feed
from service.planning.schedule import selecting, settling
from service.planning.schedule.comparing import counted
from service.planning.schedule.due import ring_one
from service.planning.schedule.pages import PAGES, Pages
from service.planning.transact import read, transact
from service.planning.versions import current_versions
from service.planning.webhooks import Announcement, EventName, announce
from service.queue import QueueName, TimeLimitReached
from service.runtime import Runtime
from service.store import batches, occurrences, releases
from service.store.occurrences import Bell
from service.store.tables.batches import OPEN_BATCHES
from service.store.tables.schedules import OccurrenceRow, OccurrenceStatus, Stage

log = structlog.get_logger(__name__)

Step = Callable[[Runtime, Session, OccurrenceRow, Pages], Mapping[str, Any]]

# Room enough in the soft limit for one slow step more.
_SLICE_FRACTION = 0.4
# So long a release waits for a worker that has its versions; then whoever is there goes on.
_RELEASE_WAITS_S = 600.0
_ENDS: Mapping[str, Any] = {"status": OccurrenceStatus.DONE.value, "stage": Stage.ENDED.value}


def resize(runtime: Runtime, occurrence_id: str, *, pages: Pages = PAGES) -> bool:
    """Take an occurrence further for a while; False when there was nothing to do, or somebody else does it."""
    now, lease_s = runtime.clock(), runtime.settings.lease_s
    row = transact(runtime, lambda session: occurrences.claim(session, occurrence_id, now=now, lease_s=lease_s))
    if row is None:
        log.info("occurrence_not_claimed", occurrence_id=occurrence_id)
        return False
    ids = {"occurrence_id": row.id, "schedule_id": row.schedule_id, "tenant_id": row.tenant_id}
    with structlog.contextvars.bound_contextvars(**ids, attempt=row.attempts):
        if row.attempts > runtime.settings.max_attempts:
            return _give_up(runtime, row)
        if _waits_for_release(runtime, row):
            return _leave(runtime, row, ring=False)
        return _steps(runtime, row, pages)


def _steps(runtime: Runtime, row: OccurrenceRow, pages: Pages) -> bool:
    began_s, slice_s = time.monotonic(), runtime.settings.task_soft_limit_s * _SLICE_FRACTION
    step: Step | None
    try:
        while (step := _step_of(runtime, row)) is not None:
            after = _taken(runtime, row, step, pages)
            if after is None:
                log.warning("occurrence_taken_over", token=row.lease_token)
                return False
            row = after
            if row.stage == Stage.ENDED:
                log.info("occurrence_done", items=row.items)
                return True
            over = time.monotonic() - began_s > slice_s
            if over or runtime.queue.depth(QueueName.INTERACTIVE):
                return _leave(runtime, row, ring=True)
    except TimeLimitReached:
        log.warning("occurrence_step_too_slow", how=row.stage)
        return _leave(runtime, row, ring=True)
    left = _leave(runtime, row, ring=False)
    feed(runtime)
    return left


def _step_of(runtime: Runtime, row: OccurrenceRow) -> Step | None:
    """What is to be done next; None while its batch is at work."""
    if row.stage == Stage.SELECTING:
        return selecting.select_page
    batch_id = row.batch_id
    if row.stage == Stage.SIZING and batch_id is not None:
        batch = read(runtime, lambda session: batches.get(session, row.tenant_id, batch_id))
        if batch is not None and batch.status in OPEN_BATCHES:
            return None
    return settling.compare_page


def _taken(runtime: Runtime, row: OccurrenceRow, step: Step, pages: Pages) -> OccurrenceRow | None:
    """The occurrence after one step; None when it is not held any more, and then nothing is written."""
    token, occurrence_id, tenant_id = row.lease_token, row.id, row.tenant_id

    def work(session: Session) -> OccurrenceRow | None:
        held = {"attempts": 0, "lease_until": row.lease_until}
        if not occurrences.write(session, occurrence_id, token, held):
            return None
        now_there = occurrences.get(session, tenant_id, occurrence_id)
        assert now_there is not None
        values = dict(step(runtime, session, now_there, pages))
        if values.get("stage") == Stage.ENDED:
            error_code = values.get("error_code", now_there.error_code)
            summary = values.get("summary", now_there.summary)
            values |= _ended(session, now_there, runtime, error_code=error_code, summary=summary)
        occurrences.write(session, occurrence_id, token, values)
        return occurrences.get(session, tenant_id, occurrence_id)

    return transact(runtime, work)


def _ended(
    session: Session, row: OccurrenceRow, runtime: Runtime, *, error_code: str | None, summary: str | None
) -> dict[str, Any]:
    """It is done: who changed it and who listens is told in the same transaction."""
    now = runtime.clock()
    done = Change(
        at=now,
        action=Action.OCCURRENCE_DONE,
        tenant_id=row.tenant_id,
        resource_id=row.id,
        old_state=OccurrenceStatus.RUNNING.value,
        new_state=OccurrenceStatus.DONE.value if error_code is None else f"{OccurrenceStatus.DONE.value}: {error_code}",
    )
    record(session, (Author(principal=SERVICE, key_id=None, request_id=row.request_id), done))
    announcement = Announcement(
        tenant_id=row.tenant_id,
        name=EventName.OCCURRENCE_DONE,
        subject_id=row.id,
        href=f"/v1/occurrences/{row.id}",
        data={
            "schedule_id": row.schedule_id,
            "reason": row.reason,
            "due_at": row.due_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "error_code": error_code,
            **counted(summary),
        },
        at=now,
    )
    announce(runtime, session, announcement)
    return {**_ENDS, "finished_at": now, "lease_until": None, "error_code": error_code}


def _leave(runtime: Runtime, row: OccurrenceRow, *, ring: bool) -> bool:
    """Give the claim back, so that anybody may go on; with `ring` at once, else when the dispatcher finds it due."""
    values = {"lease_until": None, "sent_at": None if ring or row.stage == Stage.SIZING else row.sent_at, "attempts": 0}
    left = transact(runtime, lambda session: occurrences.write(session, row.id, row.lease_token, values))
    if left and ring:
        ring_one(runtime, Bell(id=row.id, sent_at=None))
    return left


def _waits_for_release(runtime: Runtime, row: OccurrenceRow) -> bool:
    """Whether a worker of other versions would answer for a release: in an upgrade the new ones come a little later."""
    release_id = row.release_id
    if release_id is None or row.stage != Stage.SELECTING or row.after:
        return False
    if (runtime.clock() - row.created_at).total_seconds() > _RELEASE_WAITS_S:
        return False
    wanted, mine = read(runtime, lambda session: releases.get(session, release_id)), current_versions(runtime)
    if wanted is None:
        return False
    theirs = (wanted.catalog_version, wanted.calibration_version, wanted.engine_version, wanted.price_book_digest)
    return theirs != (mine.catalog, mine.calibration, mine.engine, mine.price_book_digest or "")


def _give_up(runtime: Runtime, row: OccurrenceRow) -> bool:
    """Its workers die over it: it ends with what it has, and its batch is taken along."""
    log.error("occurrence_poisoned", how=row.stage)

    def work(session: Session) -> bool:
        # Held first: nobody is told of an end that is not written.
        if not occurrences.write(session, row.id, row.lease_token, {"lease_until": row.lease_until}):
            return False
        values = _ended(session, row, runtime, error_code="poison", summary=row.summary)
        occurrences.write(session, row.id, row.lease_token, values)
        selecting.withdraw(session, row, now=runtime.clock())
        return True

    return transact(runtime, work)
