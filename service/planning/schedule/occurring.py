"""An occurrence is made: by a tick, by something new, or because somebody asks; one at a time of each schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from service.planning.audit import Action, Author, Change, record
from service.store import occurrences
from service.store.ids import new_id
from service.store.tables.schedules import OccurrenceStatus, Reason, ScheduleRow, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What an occurrence is made for. `tick` names it: the schedule has it once, however often it is found due."""

    reason: Reason
    tick: str
    due_at: datetime
    news: Sequence[str] = ()
    release_id: int | None = None


def occur(session: Session, schedule: ScheduleRow, occasion: Occasion, *, author: Author, now: datetime) -> str | None:
    """The id of the new occurrence; None when the schedule had this tick already, or has an open occurrence."""
    occurrence_id = new_id("occ", now)
    made = occurrences.add(
        session,
        id=occurrence_id,
        tenant_id=schedule.tenant_id,
        schedule_id=schedule.id,
        tick=occasion.tick,
        reason=occasion.reason.value,
        news=list(occasion.news),
        release_id=occasion.release_id,
        due_at=occasion.due_at,
        status=OccurrenceStatus.DUE.value,
        stage=Stage.SELECTING.value,
        after="",
        selection=dict(schedule.selection),
        threshold_fraction=schedule.threshold_fraction,
        principal=schedule.principal if author.key_id is None else author.principal,
        request_id=author.request_id,
        created_at=now,
    )
    if not made:
        return None
    change = Change(
        at=now,
        action=Action.OCCURRENCE_CREATED,
        tenant_id=schedule.tenant_id,
        resource_id=occurrence_id,
        old_state=None,
        new_state=f"{OccurrenceStatus.DUE.value}: {schedule.id}, {occasion.tick}",
    )
    record(session, (author, change))
    return occurrence_id
