"""Schedules are made, changed, paused, resumed and removed: by administrators, over the version that they read."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, PreconditionFailedError
from service.planning.audit import Action, Change, author_of, record
from service.planning.idempotency import Once, claimed, taken
from service.planning.races import OvertakenError, until_settled
from service.planning.schedule.reading import found_schedule, get_schedule
from service.planning.schedule.view import ScheduleView, schedule_view, selection_at_rest
from service.planning.transact import transact
from service.runtime import Runtime
from service.schemas.schedule import ScheduleRequest
from service.store import releases, schedules
from service.store.ids import new_id
from service.store.tables.schedules import ScheduleRow
from service.ticks import Cron

log = structlog.get_logger(__name__)

# A dispatcher looks at all of them, and each may re-size all workloads.
MOST_SCHEDULES = 50


def create(
    runtime: Runtime,
    caller: Caller,
    request: ScheduleRequest,
    *,
    request_id: str,
    once: Once[ScheduleView] | None = None,
) -> ScheduleView:
    """A schedule that is due from now on. With `once` only where its key is new, else KeyInProgressError.

    ConflictError when the tenant has MOST_SCHEDULES of them.
    """
    now = runtime.clock()

    def work(session: Session) -> ScheduleView:
        if schedules.count(session, caller.tenant_id) >= MOST_SCHEDULES:
            raise ConflictError(f"Your tenant has {MOST_SCHEDULES} schedules; remove one first.")
        row = ScheduleRow(
            id=new_id("sch", now),
            tenant_id=caller.tenant_id,
            version=1,
            principal=caller.principal,
            created_at=now,
            seen_release_id=_seen(session),
            **_asked(request, now=now),
        )
        view = schedule_view(row, None)
        if once is not None and not claimed(
            session, runtime, caller.tenant_id, once, once.answer(view), resource_id=row.id, now=now
        ):
            raise taken(once)
        schedules.add(session, row)
        record(session, (author_of(caller, request_id), _change(Action.SCHEDULE_CREATED, row, None, now)))
        return view

    view = until_settled(lambda: transact(runtime, work))
    log.info("schedule_created", schedule_id=view.id, tenant_id=caller.tenant_id)
    return view


def change(
    runtime: Runtime,
    caller: Caller,
    schedule_id: str,
    request: ScheduleRequest,
    *,
    version: int | None,
    request_id: str,
) -> ScheduleView:
    """Write what a schedule says anew; an occurrence that is open goes on as it began. A paused one stays paused.

    Like all that follow: over `version` (None: whichever there is), NotFoundError, PreconditionFailedError.
    """

    def values(session: Session, row: ScheduleRow, now: datetime) -> Mapping[str, Any] | None:
        asked = _asked(request, now=now)
        names = ("name", "cron", "time_zone", "triggers", "selection", "threshold_fraction")
        if all(getattr(row, name) == asked[name] for name in names):
            return None
        if row.paused_at is not None:
            asked["next_at"] = None
        elif (row.cron, row.time_zone) == (asked["cron"], asked["time_zone"]):
            # A tick that is missed at this moment is not forgotten.
            asked["next_at"] = row.next_at
        return {**asked, "seen_release_id": _seen(session)} if row.triggers != asked["triggers"] else asked

    return _written(
        runtime,
        caller,
        schedule_id,
        values,
        action=Action.SCHEDULE_CHANGED,
        version=version,
        request_id=request_id,
    )


def pause(runtime: Runtime, caller: Caller, schedule_id: str, *, version: int | None, request_id: str) -> ScheduleView:
    """Let it rest: nothing is due until it is resumed. One that is paused already stays as it is."""

    def values(_session: Session, row: ScheduleRow, now: datetime) -> Mapping[str, Any] | None:
        return None if row.paused_at is not None else {"paused_at": now, "next_at": None}

    return _written(
        runtime,
        caller,
        schedule_id,
        values,
        action=Action.SCHEDULE_PAUSED,
        version=version,
        request_id=request_id,
    )


def resume(runtime: Runtime, caller: Caller, schedule_id: str, *, version: int | None, request_id: str) -> ScheduleView:
    """Due again from now on; what came and went while it rested is not made up for."""

    def values(session: Session, row: ScheduleRow, now: datetime) -> Mapping[str, Any] | None:
        if row.paused_at is None:
            return None
        return {
            "paused_at": None,
            "next_at": _next_at(row.cron, row.time_zone, now=now),
            "seen_release_id": _seen(session),
        }

    return _written(
        runtime,
        caller,
        schedule_id,
        values,
        action=Action.SCHEDULE_RESUMED,
        version=version,
        request_id=request_id,
    )


def remove(runtime: Runtime, caller: Caller, schedule_id: str, *, version: int | None, request_id: str) -> None:
    """Take it away; its occurrences are kept as long as others, and one that is open goes on."""
    now = runtime.clock()

    def work(session: Session) -> None:
        row = _expected(session, caller, schedule_id, version)
        if not schedules.change(session, row, {"removed_at": now, "next_at": None}):
            raise OvertakenError
        change_of = _change(Action.SCHEDULE_REMOVED, row, "removed", now)
        record(session, (author_of(caller, request_id), change_of))

    until_settled(lambda: transact(runtime, work))
    log.info("schedule_removed", schedule_id=schedule_id, tenant_id=caller.tenant_id)


def _written(
    runtime: Runtime,
    caller: Caller,
    schedule_id: str,
    values: Callable[[Session, ScheduleRow, datetime], Mapping[str, Any] | None],
    *,
    action: Action,
    version: int | None,
    request_id: str,
) -> ScheduleView:
    """The next version; where there is nothing to change the schedule stays as it is."""
    now = runtime.clock()

    def work(session: Session) -> None:
        row = _expected(session, caller, schedule_id, version)
        new = values(session, row, now)
        if new is None:
            return
        if not schedules.change(session, row, {**new, "changed_at": now}):
            raise OvertakenError
        new_state = f"version {row.version + 1}"
        record(session, (author_of(caller, request_id), _change(action, row, new_state, now)))

    until_settled(lambda: transact(runtime, work))
    return get_schedule(runtime, caller, schedule_id)


def _expected(session: Session, caller: Caller, schedule_id: str, version: int | None) -> ScheduleRow:
    row = found_schedule(session, caller, schedule_id)
    if version is not None and row.version != version:
        raise PreconditionFailedError(f"Schedule {row.id} is at version {row.version} by now; read it again.")
    return row


def _change(action: Action, row: ScheduleRow, new_state: str | None, at: datetime) -> Change:
    old_state = None if new_state is None else f"version {row.version}"
    return Change(
        at=at,
        action=action,
        tenant_id=row.tenant_id,
        resource_id=row.id,
        old_state=old_state,
        new_state=new_state or "version 1",
    )


def _asked(request: ScheduleRequest, *, now: datetime) -> dict[str, Any]:
    return {
        "name": request.name,
        "cron": request.cron,
        "time_zone": request.time_zone,
        "triggers": [trigger.value for trigger in request.triggers],
        "selection": selection_at_rest(request.selection),
        "threshold_fraction": request.threshold_fraction,
        "next_at": _next_at(request.cron, request.time_zone, now=now),
    }


def _next_at(cron: str | None, time_zone: str, *, now: datetime) -> datetime | None:
    return None if cron is None else Cron(expression=cron, time_zone=time_zone).following(now)


def _seen(session: Session) -> int:
    """Only what is new after this moment triggers anything."""
    newest = releases.newest(session)
    return 0 if newest is None else newest.id
