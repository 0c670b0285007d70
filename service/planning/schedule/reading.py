"""What a tenant may read of its schedules: each with its newest occurrence, occurrences with progress, their items."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import NotFoundError
from service.planning.batch.view import BatchView, batch_view
from service.planning.schedule.view import (
    OccurrenceItemView,
    OccurrenceView,
    ScheduleView,
    item_view,
    occurrence_view,
    schedule_view,
)
from service.planning.transact import read
from service.runtime import Runtime
from service.store import batches, occurrence_items, occurrences, schedules
from service.store.occurrence_items import OccurrenceItemFilter
from service.store.occurrences import OccurrenceFilter
from service.store.schedules import ScheduleFilter
from service.store.tables.schedules import OccurrenceRow, ScheduleRow

ANY_SCHEDULE = ScheduleFilter()
ANY_OCCURRENCE = OccurrenceFilter()
ANY_OCCURRENCE_ITEM = OccurrenceItemFilter()
# Few enough that a reader who stops holds little, many enough that a query costs nothing per item.
_READ_TOGETHER = 500


def get_schedule(runtime: Runtime, caller: Caller, schedule_id: str) -> ScheduleView:
    """The schedule; NotFoundError when the caller's tenant has no such one."""

    def query(session: Session) -> ScheduleView:
        row = found_schedule(session, caller, schedule_id)
        return schedule_view(row, occurrences.latest_of(session, [row.id]).get(row.id))

    return read(runtime, query)


def list_schedules(
    runtime: Runtime,
    caller: Caller,
    *,
    only: ScheduleFilter = ANY_SCHEDULE,
    before_id: str | None = None,
    limit: int = 50,
) -> tuple[ScheduleView, ...]:
    """The tenant's schedules, newest first; `before_id` is the last id of the page before."""

    def query(session: Session) -> tuple[ScheduleView, ...]:
        rows = schedules.newest(session, caller.tenant_id, only=only, before_id=before_id, limit=limit)
        last = occurrences.latest_of(session, [row.id for row in rows])
        return tuple(schedule_view(row, last.get(row.id)) for row in rows)

    return read(runtime, query)


def get_occurrence(runtime: Runtime, caller: Caller, occurrence_id: str) -> OccurrenceView:
    """The occurrence; NotFoundError when the caller's tenant has no such one."""

    def query(session: Session) -> OccurrenceView:
        row = _found(session, caller, occurrence_id)
        [view] = _views(runtime, session, [row])
        return view

    return read(runtime, query)


def list_occurrences(
    runtime: Runtime,
    caller: Caller,
    schedule_id: str,
    *,
    only: OccurrenceFilter = ANY_OCCURRENCE,
    before_id: str | None = None,
    limit: int = 50,
) -> tuple[OccurrenceView, ...]:
    """The occurrences of a schedule, newest first; NotFoundError when there is no such schedule."""

    def query(session: Session) -> tuple[OccurrenceView, ...]:
        row = found_schedule(session, caller, schedule_id)
        found = occurrences.newest(session, caller.tenant_id, row.id, only=only, before_id=before_id, limit=limit)
        return _views(runtime, session, found)

    return read(runtime, query)


def _views(runtime: Runtime, session: Session, rows: Sequence[OccurrenceRow]) -> tuple[OccurrenceView, ...]:
    now = runtime.clock()
    running = batches.running_items(session, [row.batch_id for row in rows if row.batch_id is not None])
    views: list[OccurrenceView] = []
    for row in rows:
        batch: BatchView | None = None
        # One that is still being written is nothing that a caller could read.
        held = None if row.batch_id is None else batches.get(session, row.tenant_id, row.batch_id)
        if held is not None:
            batch = batch_view(held, running=running.get(held.id, 0), now=now)
        views.append(occurrence_view(row, batch))
    return tuple(views)


def list_occurrence_items(
    runtime: Runtime,
    caller: Caller,
    occurrence_id: str,
    *,
    only: OccurrenceItemFilter = ANY_OCCURRENCE_ITEM,
    after_line: int = 0,
    limit: int = 50,
) -> tuple[OccurrenceItemView, ...]:
    """Workloads of an occurrence in the order of their lines; NotFoundError when there is no such occurrence."""

    def query(session: Session) -> tuple[OccurrenceItemView, ...]:
        row = _found(session, caller, occurrence_id)
        rows = occurrence_items.items(session, row, only=only, after_line=after_line, limit=limit)
        return tuple(item_view(item) for item in rows)

    return read(runtime, query)


def occurrence_results(
    runtime: Runtime, caller: Caller, occurrence_id: str, *, only: OccurrenceItemFilter = ANY_OCCURRENCE_ITEM
) -> Iterator[OccurrenceItemView]:
    """Every workload as it is when its turn comes; NotFoundError is raised at once. Between two nothing is held."""

    def page(after_line: int) -> tuple[OccurrenceItemView, ...]:
        return list_occurrence_items(
            runtime, caller, occurrence_id, only=only, after_line=after_line, limit=_READ_TOGETHER
        )

    first = page(0)

    def following() -> Iterator[OccurrenceItemView]:
        items = first
        while items:
            yield from items
            if len(items) < _READ_TOGETHER:
                return
            items = page(items[-1].line)

    return following()


def found_schedule(session: Session, caller: Caller, schedule_id: str) -> ScheduleRow:
    """The row; NotFoundError without one."""
    row = schedules.get(session, caller.tenant_id, schedule_id)
    if row is None:
        raise NotFoundError(f"There is no schedule {schedule_id[:64]!r}.")
    return row


def _found(session: Session, caller: Caller, occurrence_id: str) -> OccurrenceRow:
    row = occurrences.get(session, caller.tenant_id, occurrence_id)
    if row is None:
        raise NotFoundError(f"There is no occurrence {occurrence_id[:64]!r}.")
    return row
