"""Runs and results: one execution of the engine for one workload, and the answer it found."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class RunStatus(StrEnum):
    """queued -> running -> done, failed, cancelled; never backwards."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)
_STATUSES = ", ".join(f"'{status.value}'" for status in RunStatus)
# A follower waits for the run it follows and is never queued itself, so it may share the digest.
_LEADS = text("status IN ('queued', 'running') AND follows_run_id IS NULL")
_IS_OPEN = text("status IN ('queued', 'running')")
_FAILED = text("status = 'failed'")
_FOLLOWS = text("follows_run_id IS NOT NULL")


class RunRow(Owned, Row):
    """One run. `lease_token` grows with every claim: only the holder of the newest token may write the end.

    `spares` are those of its attempts that were stopped before they could compute: they are not held against it.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint("attempts >= 0 AND lease_token >= attempts", name="attempts"),
        CheckConstraint("(status IN ('queued', 'running')) = (finished_at IS NULL)", name="finished"),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="error"),
        Index(
            "uq_runs_open_question", "tenant_id", "digest", unique=True, sqlite_where=_LEADS, postgresql_where=_LEADS
        ),
        Index("ix_runs_open", "status", "sent_at", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        Index("ix_runs_failed", "id", sqlite_where=_FAILED, postgresql_where=_FAILED),
        Index(None, "tenant_id", "id"),
        Index(None, "workload_id", "id"),
        Index(None, "follows_run_id", sqlite_where=_FOLLOWS, postgresql_where=_FOLLOWS),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    workload_id: Mapped[str] = mapped_column(ForeignKey("workloads.id"))
    workload_version: Mapped[int] = mapped_column(server_default="1")
    status: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    question: Mapped[str] = mapped_column(Text)
    cached: Mapped[bool] = mapped_column(default=False)
    feasible: Mapped[bool | None]
    follows_run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    attempts: Mapped[int] = mapped_column(default=0)
    spares: Mapped[int] = mapped_column(server_default="0")
    lease_token: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    error_traceback: Mapped[str | None] = mapped_column(Text)
    catalog_version: Mapped[str] = mapped_column(Text)
    calibration_version: Mapped[str] = mapped_column(Text)
    engine_version: Mapped[str] = mapped_column(Text)
    price_book_digest: Mapped[str | None] = mapped_column(Text)
    principal: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    # W3C trace context of the request, so that the worker's spans join its trace however the run was rung for.
    traceparent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)


class ResultRow(Owned, Row):
    """The answer to a question of one tenant. Written once, never changed, read by every equal run.

    `body` is what callers read, to the byte; `working` holds the working of its options by rank. Both canonical JSON.
    """

    __tablename__ = "results"

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    working: Mapped[str] = mapped_column(Text, server_default="{}")
    feasible: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(Moment)
