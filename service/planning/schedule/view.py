"""What callers see of schedules and occurrences: values, detached from any session."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from service.planning.batch.view import BatchView
from service.schemas.schedule import Selection, SelectionSchema
from service.store.occurrence_items import FoundOccurrenceItem
from service.store.tables.schedules import (
    OPEN_OCCURRENCES,
    OccurrenceRow,
    OccurrenceStatus,
    Outcome,
    Reason,
    ScheduleRow,
    Stage,
)
from service.ticks import Cron

_SELECTION = SelectionSchema()
# Sizing is most of the work; the rest is looking.
_SIZING_FRACTION = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class LastOccurrenceView:
    """The newest occurrence of a schedule in short."""

    id: str
    status: OccurrenceStatus
    due_at: datetime
    items: int
    moved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView:
    """A schedule as its tenant sees it."""

    id: str
    name: str
    cron: str | None
    cron_in_words: str | None
    time_zone: str
    triggers: tuple[str, ...]
    selection: Selection
    threshold_fraction: float
    paused: bool
    next_at: datetime | None
    last_occurrence: LastOccurrenceView | None
    version: int
    principal: str
    created_at: datetime
    changed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceView:
    """An occurrence as its tenant sees it; `summary` is JSON."""

    id: str
    schedule_id: str
    reason: Reason
    news: tuple[str, ...]
    due_at: datetime
    status: OccurrenceStatus
    stage: Stage
    items: int
    sized_items: int
    compared_items: int
    progress_fraction: float
    rate_items_s: float | None
    left_s: float | None
    threshold_fraction: float
    selection: Selection
    summary: str | None
    batch_id: str | None
    error_code: str | None
    principal: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def open(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in OPEN_OCCURRENCES


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceItemView:
    """A workload of an occurrence as its tenant sees it; `problem` and `answer` are JSON."""

    line: int
    workload_id: str
    workload_version: int
    name: str | None
    kind: str
    outcome: Outcome | None
    moved_fraction: float | None
    former_id: str | None
    causes: tuple[str, ...]
    changes: tuple[Mapping[str, Any], ...]
    problem: str | None
    answer: str | None


def schedule_view(row: ScheduleRow, last: OccurrenceRow | None) -> ScheduleView:
    """The view of a row and of its newest occurrence."""
    return ScheduleView(
        id=row.id,
        name=row.name,
        cron=row.cron,
        cron_in_words=None if row.cron is None else Cron(expression=row.cron, time_zone=row.time_zone).in_words(),
        time_zone=row.time_zone,
        triggers=tuple(row.triggers),
        selection=selection_of(row.selection),
        threshold_fraction=row.threshold_fraction,
        paused=row.paused_at is not None,
        next_at=row.next_at,
        last_occurrence=None if last is None else _last(last),
        version=row.version,
        principal=row.principal,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def selection_of(stored: Mapping[str, Any]) -> Selection:
    """A selection as it is kept."""
    found: Selection = _SELECTION.load(dict(stored))
    return found


def selection_at_rest(selection: Selection) -> dict[str, Any]:
    """A selection as it is kept: by the schema that reads it."""
    kept: dict[str, Any] = _SELECTION.dump(selection)
    return kept


def _last(row: OccurrenceRow) -> LastOccurrenceView:
    return LastOccurrenceView(
        id=row.id,
        status=OccurrenceStatus(row.status),
        due_at=row.due_at,
        items=row.items,
        moved=0 if row.summary is None else int(orjson.loads(row.summary)["outcomes"]["moved"]),
    )


def occurrence_view(row: OccurrenceRow, batch: BatchView | None) -> OccurrenceView:
    """The view of a row, and of the batch that sizes its workloads once there is one."""
    sized = 0 if batch is None else batch.items - batch.counts.queued - batch.counts.running - batch.counts.cancelled
    return OccurrenceView(
        id=row.id,
        schedule_id=row.schedule_id,
        reason=Reason(row.reason),
        news=tuple(row.news),
        due_at=row.due_at,
        status=OccurrenceStatus(row.status),
        stage=Stage(row.stage),
        items=row.items,
        sized_items=sized,
        compared_items=row.compared,
        progress_fraction=_progress_fraction(row, sized),
        rate_items_s=None if batch is None else batch.rate_items_s,
        left_s=None if batch is None else batch.left_s,
        threshold_fraction=row.threshold_fraction,
        selection=selection_of(row.selection),
        summary=row.summary,
        batch_id=None if batch is None else batch.id,
        error_code=row.error_code,
        principal=row.principal,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _progress_fraction(row: OccurrenceRow, sized: int) -> float:
    if row.stage == Stage.ENDED:
        return 1.0
    if row.stage == Stage.SELECTING or not row.items:
        return 0.0
    sizing = 1.0 if row.stage == Stage.COMPARING else sized / row.items
    return round(_SIZING_FRACTION * sizing + (1 - _SIZING_FRACTION) * row.compared / row.items, 6)


def item_view(item: FoundOccurrenceItem) -> OccurrenceItemView:
    """The view of an item."""
    difference: Mapping[str, Any] = {} if item.changes is None else orjson.loads(item.changes)
    return OccurrenceItemView(
        line=item.line,
        workload_id=item.workload_id,
        workload_version=item.workload_version,
        name=item.name,
        kind=item.kind,
        outcome=item.outcome,
        moved_fraction=item.moved_fraction,
        former_id=item.former_id,
        causes=tuple(difference.get("causes", ())),
        changes=tuple(difference.get("changes", ())),
        problem=item.problem,
        answer=item.answer,
    )
