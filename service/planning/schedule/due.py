"""What is due: ticks that have come, releases that are new, and occurrences that a worker can take further.

The dispatcher looks every second and works on nothing itself. Whoever looks twice, or two who look at once, find the
tick taken. After an outage each schedule runs once, for the last tick that it missed.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from service.errors import UnavailableError
from service.planning.audit import SERVICE, author_on_host
from service.planning.schedule.occurring import Occasion, occur
from service.planning.transact import read, transact
from service.queue import TaskName
from service.quoting.difference import CauseKind
from service.runtime import Runtime
from service.store import occurrences, releases, schedules
from service.store.occurrences import Bell
from service.store.tables.releases import ReleaseRow
from service.store.tables.schedules import Reason, ScheduleRow
from service.ticks import Cron

log = structlog.get_logger(__name__)

_AT_ONCE = 50
_VERSIONS = {
    CauseKind.CATALOG: "catalog_version",
    CauseKind.CALIBRATION: "calibration_version",
    CauseKind.PRICE_BOOK: "price_book_digest",
    CauseKind.ENGINE: "engine_version",
}


def begin_due(runtime: Runtime) -> int:
    """Make an occurrence for each schedule that is due, some at a time; how many were made."""
    now = runtime.clock()

    def look(session: Session) -> tuple[list[str], list[str]]:
        newest = releases.newest(session)
        release_id = 0 if newest is None else newest.id
        behind = schedules.behind(session, release_id=release_id, limit=_AT_ONCE) if release_id else ()
        return list(schedules.due(session, now=now, limit=_AT_ONCE)), list(behind)

    due, behind = read(runtime, look)
    made = [_tried(_begun, runtime, schedule_id) for schedule_id in due]
    made += [_tried(_released, runtime, schedule_id) for schedule_id in behind]
    return sum(one is not None for one in made)


def _tried(begin: Callable[[Runtime, str], str | None], runtime: Runtime, schedule_id: str) -> str | None:
    """One that means nothing here, in a zone that the host has no more for example, holds up nothing else."""
    try:
        return begin(runtime, schedule_id)
    except UnavailableError:
        raise
    except Exception:
        log.exception("schedule_not_begun", schedule_id=schedule_id)
        return None


def _begun(runtime: Runtime, schedule_id: str) -> str | None:
    now = runtime.clock()

    def work(session: Session) -> str | None:
        row = schedules.hold(session, schedule_id)
        if row is None or row.cron is None or row.next_at is None or row.next_at > now:
            return None
        cron = Cron(expression=row.cron, time_zone=row.time_zone)
        at = cron.latest(row.next_at - timedelta(seconds=1), now) or row.next_at
        tick = f"cron {_written(at)}"
        found = occur(
            session,
            row,
            Occasion(reason=Reason.CRON, tick=tick, due_at=at),
            author=author_on_host(SERVICE),
            now=now,
        )
        # One that is open holds up the next, which then runs for the last tick that it missed.
        if found is not None or occurrences.has_tick(session, row.id, tick):
            row.next_at = cron.following(now)
        return found

    return _told(transact(runtime, work), schedule_id)


def _released(runtime: Runtime, schedule_id: str) -> str | None:
    now = runtime.clock()

    def work(session: Session) -> str | None:
        row, newest = schedules.hold(session, schedule_id), releases.newest(session)
        if row is None or newest is None or row.seen_release_id >= newest.id:
            return None
        news = _news(row, releases.get(session, row.seen_release_id), newest)
        found = None
        if news:
            tick = f"release {newest.id}"
            occasion = Occasion(reason=Reason.RELEASE, tick=tick, due_at=now, news=news, release_id=newest.id)
            found = occur(session, row, occasion, author=author_on_host(SERVICE), now=now)
            if found is None and not occurrences.has_tick(session, row.id, tick):
                return None
        row.seen_release_id = newest.id
        return found

    return _told(transact(runtime, work), schedule_id)


def _news(row: ScheduleRow, seen: ReleaseRow | None, newest: ReleaseRow) -> list[str]:
    """What is new of what the schedule is triggered by; what ran before its first release nobody knows."""
    if seen is None:
        return []
    return [
        kind.value
        for kind, column in _VERSIONS.items()
        if kind.value in row.triggers and getattr(seen, column) != getattr(newest, column)
    ]


def _told(occurrence_id: str | None, schedule_id: str) -> str | None:
    if occurrence_id is not None:
        log.info("occurrence_due", occurrence_id=occurrence_id, schedule_id=schedule_id)
    return occurrence_id


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ring(runtime: Runtime) -> int:
    """Ring for occurrences that a worker can take further, until the broker refuses; how many were rung for."""
    now = runtime.clock()
    resend_before = now - timedelta(seconds=runtime.settings.resend_after_s)
    bells = read(
        runtime, lambda session: occurrences.waiting(session, now=now, resend_before=resend_before, limit=_AT_ONCE)
    )
    return sum(ring_one(runtime, bell) for bell in bells)


def ring_one(runtime: Runtime, bell: Bell) -> bool:
    """Ring for one, unless somebody else has since it was looked at; False when it was not rung for."""
    now = runtime.clock()
    if not transact(runtime, lambda session: occurrences.mark_sent(session, bell, now=now)):
        return False
    rung = runtime.queue.enqueue(TaskName.RESIZE_STALE, bell.id)
    if not rung:
        transact(runtime, lambda session: occurrences.mark_sent(session, bell, now=None))
    return rung
