"""Schedules, their occurrences, and the workloads that each of those re-sizes."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_IS_OPEN = sa.text("status IN ('due', 'running')")
_IS_DUE = sa.text("next_at IS NOT NULL")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _foreign(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"))


def upgrade() -> None:
    op.create_table(
        "schedules",
        *(_text(name) for name in ("id", "tenant_id", "name")),
        _text("cron", nullable=True),
        _text("time_zone"),
        _json("triggers"),
        _json("selection"),
        sa.Column("threshold_fraction", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        _text("principal"),
        _count("seen_release_id"),
        _moment("next_at"),
        _moment("created_at", nullable=False),
        *(_moment(name) for name in ("changed_at", "paused_at", "removed_at")),
        sa.CheckConstraint("threshold_fraction >= 0", name=op.f("ck_schedules_threshold")),
        _foreign("schedules", "tenant_id", "tenants"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(op.f("ix_schedules_tenant_id_id"), "schedules", ["tenant_id", "id"])
    op.create_index(
        "ix_schedules_next_at", "schedules", ["next_at"], sqlite_where=_IS_DUE, postgresql_where=_IS_DUE
    )

    op.create_table(
        "occurrences",
        *(_text(name) for name in ("id", "tenant_id", "schedule_id", "tick", "reason")),
        _json("news"),
        sa.Column("release_id", sa.Integer(), nullable=True),
        _moment("due_at", nullable=False),
        *(_text(name) for name in ("status", "stage")),
        _text("after"),
        _json("selection"),
        sa.Column("threshold_fraction", sa.Double(), nullable=False),
        *(_count(name) for name in ("items", "compared")),
        *(_text(name, nullable=True) for name in ("summary", "batch_id", "error_code")),
        *(_text(name) for name in ("principal", "request_id")),
        *(_count(name) for name in ("attempts", "lease_token")),
        *(_moment(name) for name in ("lease_until", "sent_at")),
        _moment("created_at", nullable=False),
        *(_moment(name) for name in ("started_at", "finished_at")),
        sa.CheckConstraint("status IN ('due', 'running', 'done')", name=op.f("ck_occurrences_status")),
        sa.CheckConstraint(
            "stage IN ('selecting', 'sizing', 'comparing', 'ended')", name=op.f("ck_occurrences_stage")
        ),
        sa.CheckConstraint("reason IN ('cron', 'release', 'request')", name=op.f("ck_occurrences_reason")),
        sa.CheckConstraint(
            "(status = 'done') = (finished_at IS NOT NULL)", name=op.f("ck_occurrences_finished")
        ),
        _foreign("occurrences", "tenant_id", "tenants"),
        _foreign("occurrences", "schedule_id", "schedules"),
        _foreign("occurrences", "batch_id", "batches"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_occurrences")),
        sa.UniqueConstraint("schedule_id", "tick", name="uq_occurrences_tick"),
    )
    op.create_index(
        "uq_occurrences_open",
        "occurrences",
        ["schedule_id"],
        unique=True,
        sqlite_where=_IS_OPEN,
        postgresql_where=_IS_OPEN,
    )
    op.create_index(
        "ix_occurrences_open", "occurrences", ["sent_at"], sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN
    )
    op.create_index(op.f("ix_occurrences_schedule_id_id"), "occurrences", ["schedule_id", "id"])
    op.create_index(op.f("ix_occurrences_batch_id"), "occurrences", ["batch_id"])

    op.create_table(
        "occurrence_items",
        _text("occurrence_id"),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        _text("workload_id"),
        sa.Column("workload_version", sa.Integer(), nullable=False),
        *(_text(name, nullable=True) for name in ("former_id", "former_digest")),
        sa.Column("former_version", sa.Integer(), nullable=True),
        *(_text(name, nullable=True) for name in ("digest", "outcome")),
        sa.Column("moved_fraction", sa.Double(), nullable=True),
        _text("changes", nullable=True),
        sa.CheckConstraint(
            "outcome IN ('unchanged', 'changed', 'moved', 'first', 'unanswered')",
            name=op.f("ck_occurrence_items_outcome"),
        ),
        _foreign("occurrence_items", "occurrence_id", "occurrences"),
        _foreign("occurrence_items", "workload_id", "workloads"),
        sa.PrimaryKeyConstraint("occurrence_id", "line", name=op.f("pk_occurrence_items")),
    )
    op.create_index(
        op.f("ix_occurrence_items_workload_id_occurrence_id"), "occurrence_items", ["workload_id", "occurrence_id"]
    )


def downgrade() -> None:
    op.drop_table("occurrence_items")
    op.drop_table("occurrences")
    op.drop_table("schedules")
