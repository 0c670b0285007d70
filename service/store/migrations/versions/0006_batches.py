"""Batches, their chunks and items, and what they keep of answers."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OPEN_CHUNK = sa.text("status IN ('queued', 'running')")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "batches",
        _text("id"),
        _text("tenant_id"),
        _text("name", nullable=True),
        _text("status"),
        *(_count(name) for name in ("items", "done", "infeasible", "refused", "failed", "reused_items")),
        _text("principal"),
        _text("request_id"),
        _text("traceparent", nullable=True),
        _moment("created_at", nullable=False),
        _moment("started_at"),
        _moment("finished_at"),
        sa.CheckConstraint(
            "status IN ('receiving', 'accepted', 'running', 'done', 'cancelled')", name=op.f("ck_batches_status")
        ),
        sa.CheckConstraint("done + infeasible + refused + failed <= items", name=op.f("ck_batches_counts")),
        sa.CheckConstraint(
            "(status IN ('done', 'cancelled')) = (finished_at IS NOT NULL)", name=op.f("ck_batches_finished")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_batches_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index(op.f("ix_batches_tenant_id_id"), "batches", ["tenant_id", "id"])

    op.create_table(
        "batch_chunks",
        _text("batch_id"),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        _text("tenant_id"),
        _text("status"),
        sa.Column("open_items", sa.Integer(), nullable=False),
        _count("attempts"),
        _count("lease_token"),
        _moment("lease_until"),
        _moment("sent_at"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'cancelled')", name=op.f("ck_batch_chunks_status")
        ),
        sa.CheckConstraint("open_items >= 0", name=op.f("ck_batch_chunks_open_items")),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_chunks_batch_id_batches")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_batch_chunks_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_batch_chunks")),
    )
    op.create_index(
        "ix_batch_chunks_open",
        "batch_chunks",
        ["tenant_id", "sent_at"],
        sqlite_where=_OPEN_CHUNK,
        postgresql_where=_OPEN_CHUNK,
    )

    op.create_table(
        "batch_items",
        _text("batch_id"),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        _text("state"),
        _count("attempts"),
        _text("asked"),
        *(_text(name, nullable=True) for name in ("name", "kind", "digest", "error_code", "problem")),
        sa.CheckConstraint(
            "state IN ('queued', 'done', 'infeasible', 'refused', 'failed')", name=op.f("ck_batch_items_state")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_items_batch_id_batches")),
        sa.PrimaryKeyConstraint("batch_id", "line", name=op.f("pk_batch_items")),
    )
    op.create_index(op.f("ix_batch_items_batch_id_chunk"), "batch_items", ["batch_id", "chunk"])

    op.create_table(
        "batch_answers",
        _text("tenant_id"),
        _text("digest"),
        _text("body"),
        sa.Column("feasible", sa.Boolean(), nullable=False),
        _moment("created_at", nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_batch_answers_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name=op.f("pk_batch_answers")),
    )


def downgrade() -> None:
    for table in ("batch_answers", "batch_items", "batch_chunks", "batches"):
        op.drop_table(table)
