"""A schedule is asked for at once: what it would do, and to do it now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError
from service.planning.audit import author_of
from service.planning.idempotency import Once, claimed, taken
from service.planning.schedule.due import ring_one
from service.planning.schedule.occurring import Occasion, occur
from service.planning.schedule.reading import found_schedule, get_occurrence
from service.planning.schedule.view import OccurrenceView, occurrence_view, selection_of
from service.planning.transact import read, transact
from service.planning.view import WorkloadView, workload_view
from service.runtime import Runtime
from service.schemas.schedule import ScheduleRequest, Selection
from service.store import occurrences, selection
from service.store.ids import new_id
from service.store.occurrences import Bell
from service.store.selection import Selected
from service.store.tables.schedules import Reason
from service.ticks import Cron

log = structlog.get_logger(__name__)

_TICKS = 5
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A time at which a schedule is due, in UTC and on the clock of its zone."""

    at: datetime
    local: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a schedule would do."""

    cron_in_words: str | None
    ticks: tuple[Tick, ...]
    selected: int
    workloads: tuple[WorkloadView, ...]


def preview(runtime: Runtime, caller: Caller, request: ScheduleRequest) -> Preview:
    """What a schedule that says this would do; nothing is kept."""
    cron = _cron(request.cron, request.time_zone)
    return read(runtime, lambda session: _preview(session, caller, cron, request.selection, now=runtime.clock()))


def preview_of(runtime: Runtime, caller: Caller, schedule_id: str) -> Preview:
    """What a schedule would do; NotFoundError when the caller's tenant has no such one."""

    def query(session: Session) -> Preview:
        row = found_schedule(session, caller, schedule_id)
        cron = _cron(row.cron, row.time_zone)
        return _preview(session, caller, cron, selection_of(row.selection), now=runtime.clock())

    return read(runtime, query)


def _cron(expression: str | None, time_zone: str) -> Cron | None:
    return None if expression is None else Cron(expression=expression, time_zone=time_zone)


def _preview(session: Session, caller: Caller, cron: Cron | None, chosen: Selection, *, now: datetime) -> Preview:
    only = selected(chosen, now=now)
    rows = selection.page(session, caller.tenant_id, only, after_id="", limit=_SHOWN)
    return Preview(
        cron_in_words=None if cron is None else cron.in_words(),
        ticks=() if cron is None else tuple(_tick(at, cron) for at in cron.next(now, _TICKS)),
        selected=selection.count(session, caller.tenant_id, only),
        workloads=tuple(workload_view(row) for row in rows),
    )


def _tick(at: datetime, cron: Cron) -> Tick:
    return Tick(at=at, local=at.astimezone(ZoneInfo(cron.time_zone)).isoformat())


def selected(chosen: Selection, *, now: datetime) -> Selected:
    """A selection with its ages as times."""

    def ago(days: int | None) -> datetime | None:
        return None if days is None else now - timedelta(days=days)

    return Selected(
        kind=None if chosen.kind is None else chosen.kind.value,
        labels=tuple(chosen.labels.items()),
        state=chosen.state,
        asked_after=ago(chosen.asked_within_days),
        asked_before=ago(chosen.asked_before_days),
    )


def run_now(
    runtime: Runtime,
    caller: Caller,
    schedule_id: str,
    *,
    request_id: str,
    once: Once[OccurrenceView] | None = None,
) -> OccurrenceView:
    """An occurrence at once, of a paused schedule too. With `once` only where its key is new, else KeyInProgressError.

    ConflictError while an occurrence of the schedule is open, NotFoundError when there is no such schedule.
    """
    now = runtime.clock()

    def work(session: Session) -> OccurrenceView:
        row = found_schedule(session, caller, schedule_id)
        occasion = Occasion(reason=Reason.REQUEST, tick=new_id("request", now), due_at=now)
        made = occur(session, row, occasion, author=author_of(caller, request_id), now=now)
        if made is None:
            raise ConflictError(f"An occurrence of schedule {row.id} is still open; ask again when it is done.")
        found = occurrences.get(session, caller.tenant_id, made)
        assert found is not None
        view = occurrence_view(found, None)
        if once is not None and not claimed(
            session, runtime, caller.tenant_id, once, once.answer(view), resource_id=made, now=now
        ):
            raise taken(once)
        return view

    view = transact(runtime, work)
    log.info("occurrence_asked_for", occurrence_id=view.id, schedule_id=schedule_id, request_id=request_id)
    ring_one(runtime, Bell(id=view.id, sent_at=None))
    return get_occurrence(runtime, caller, view.id) if once is None else view
