"""Schedules re-size a selection of workloads again and again; an occurrence is one time, its items the workloads."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Double, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class OccurrenceStatus(StrEnum):
    """due -> running -> done; never backwards."""

    DUE = "due"
    RUNNING = "running"
    DONE = "done"


class Stage(StrEnum):
    """What an occurrence is at: it selects, its batch sizes, it compares; ended it stays as it is."""

    SELECTING = "selecting"
    SIZING = "sizing"
    COMPARING = "comparing"
    ENDED = "ended"


class Reason(StrEnum):
    """Why an occurrence was made."""

    CRON = "cron"
    RELEASE = "release"
    REQUEST = "request"


class Outcome(StrEnum):
    """What became of a workload's answer; one that was not compared yet has none.

    `moved` differs beyond the threshold, `changed` within it; `first` has no answer to be compared with, `unanswered`
    was refused, failed or cancelled.
    """

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    MOVED = "moved"
    FIRST = "first"
    UNANSWERED = "unanswered"


OPEN_OCCURRENCES = (OccurrenceStatus.DUE, OccurrenceStatus.RUNNING)
_STATUSES = ", ".join(f"'{status.value}'" for status in OccurrenceStatus)
_STAGES = ", ".join(f"'{stage.value}'" for stage in Stage)
_REASONS = ", ".join(f"'{reason.value}'" for reason in Reason)
_OUTCOMES = ", ".join(f"'{outcome.value}'" for outcome in Outcome)
_IS_OPEN = text("status IN ('due', 'running')")
_IS_DUE = text("next_at IS NOT NULL")


class ScheduleRow(Owned, Row):
    """When to re-size which workloads. `next_at` is its next tick; a paused or removed one has none.

    `seen_release_id` is the newest release that it has answered for: a newer one may trigger it.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint("threshold_fraction >= 0", name="threshold"),
        Index(None, "tenant_id", "id"),
        Index("ix_schedules_next_at", "next_at", sqlite_where=_IS_DUE, postgresql_where=_IS_DUE),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(Text)
    cron: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    triggers: Mapped[list[str]] = mapped_column(JSON)
    selection: Mapped[dict[str, Any]] = mapped_column(JSON)
    threshold_fraction: Mapped[float] = mapped_column(Double)
    version: Mapped[int] = mapped_column(server_default="1")
    principal: Mapped[str] = mapped_column(Text)
    seen_release_id: Mapped[int] = mapped_column(server_default="0")
    next_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    changed_at: Mapped[datetime | None] = mapped_column(Moment)
    paused_at: Mapped[datetime | None] = mapped_column(Moment)
    removed_at: Mapped[datetime | None] = mapped_column(Moment)


class OccurrenceRow(Owned, Row):
    """One time that a schedule was due; its tick is there once, and one at a time is open.

    `after` is how far its stage has come: the last workload that was selected, or the last line that was compared.
    `lease_token` grows with every claim; `attempts` counts claims since anything was stored.
    """

    __tablename__ = "occurrences"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint(f"stage IN ({_STAGES})", name="stage"),
        CheckConstraint(f"reason IN ({_REASONS})", name="reason"),
        CheckConstraint("(status = 'done') = (finished_at IS NOT NULL)", name="finished"),
        UniqueConstraint("schedule_id", "tick", name="uq_occurrences_tick"),
        Index("uq_occurrences_open", "schedule_id", unique=True, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        Index("ix_occurrences_open", "sent_at", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        Index(None, "schedule_id", "id"),
        Index(None, "batch_id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id"))
    tick: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    news: Mapped[list[str]] = mapped_column(JSON)
    release_id: Mapped[int | None]
    due_at: Mapped[datetime] = mapped_column(Moment)
    status: Mapped[str] = mapped_column(Text)
    stage: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    selection: Mapped[dict[str, Any]] = mapped_column(JSON)
    threshold_fraction: Mapped[float] = mapped_column(Double)
    items: Mapped[int] = mapped_column(server_default="0")
    compared: Mapped[int] = mapped_column(server_default="0")
    summary: Mapped[str | None] = mapped_column(Text)
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("batches.id"))
    error_code: Mapped[str | None] = mapped_column(Text)
    principal: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease_token: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)


class OccurrenceItemRow(Row):
    """A workload of an occurrence, with the line that it has in the batch, and what became of its answer.

    `former_digest` is the question whose answer it is compared with, `former_id` the run or occurrence that gave it;
    `digest` is that of the new answer. `changes` is JSON, and absent where nothing changed.
    """

    __tablename__ = "occurrence_items"
    __table_args__ = (
        CheckConstraint(f"outcome IN ({_OUTCOMES})", name="outcome"),
        Index(None, "workload_id", "occurrence_id"),
    )

    occurrence_id: Mapped[str] = mapped_column(ForeignKey("occurrences.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    workload_id: Mapped[str] = mapped_column(ForeignKey("workloads.id"))
    workload_version: Mapped[int]
    former_id: Mapped[str | None] = mapped_column(Text)
    former_digest: Mapped[str | None] = mapped_column(Text)
    former_version: Mapped[int | None]
    digest: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    moved_fraction: Mapped[float | None] = mapped_column(Double)
    changes: Mapped[str | None] = mapped_column(Text)
