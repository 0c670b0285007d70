"""Webhooks, the events that somebody listened to, and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ACTIVE = sa.text("state = 'active'")
_PENDING = sa.text("status = 'pending'")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _count(name: str, *, start: str = "0") -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=start, nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "webhooks",
        _text("id"),
        _text("tenant_id"),
        _text("name", nullable=True),
        _text("url"),
        sa.Column("events", sa.JSON(), nullable=False),
        _text("state"),
        _count("version", start="1"),
        _text("secret"),
        _text("old_secret", nullable=True),
        _moment("old_secret_until"),
        _count("failures"),
        _moment("failing_since"),
        _moment("resume_at"),
        _moment("disabled_at"),
        _text("disabled_reason", nullable=True),
        _text("principal"),
        _moment("created_at", nullable=False),
        _moment("changed_at", nullable=False),
        sa.CheckConstraint("state IN ('active', 'disabled', 'deleted')", name=op.f("ck_webhooks_state")),
        sa.CheckConstraint("(old_secret IS NULL) = (old_secret_until IS NULL)", name=op.f("ck_webhooks_old_secret")),
        sa.CheckConstraint("state <> 'disabled' OR disabled_reason IS NOT NULL", name=op.f("ck_webhooks_disabled")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhooks_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_tenant_id_id"), "webhooks", ["tenant_id", "id"])
    op.create_index("ix_webhooks_active", "webhooks", ["tenant_id"], sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)

    op.create_table(
        "webhook_events",
        _text("id"),
        _text("tenant_id"),
        _text("name"),
        _text("subject_id"),
        _text("body"),
        _moment("created_at", nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_events_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
    )
    op.create_index(op.f("ix_webhook_events_created_at"), "webhook_events", ["created_at"])

    op.create_table(
        "webhook_deliveries",
        _text("id"),
        _text("tenant_id"),
        _text("webhook_id"),
        _text("event_id"),
        _text("event"),
        _text("status"),
        _count("attempts"),
        _count("lease_token"),
        _moment("lease_until"),
        _moment("sent_at"),
        _moment("due_at", nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        _text("excerpt", nullable=True),
        _text("error", nullable=True),
        _text("replay_of", nullable=True),
        _moment("created_at", nullable=False),
        _moment("attempted_at"),
        _moment("ended_at"),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'gave_up')", name=op.f("ck_webhook_deliveries_status")
        ),
        sa.CheckConstraint(
            "(status = 'pending') = (ended_at IS NULL)", name=op.f("ck_webhook_deliveries_ended")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_deliveries_tenant_id_tenants")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id_webhooks")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["webhook_events.id"], name=op.f("fk_webhook_deliveries_event_id_webhook_events")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(op.f("ix_webhook_deliveries_webhook_id_id"), "webhook_deliveries", ["webhook_id", "id"])
    op.create_index(op.f("ix_webhook_deliveries_event_id"), "webhook_deliveries", ["event_id"])
    op.create_index(
        "ix_webhook_deliveries_pending",
        "webhook_deliveries",
        ["webhook_id", "due_at"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )


def downgrade() -> None:
    for table in ("webhook_deliveries", "webhook_events", "webhooks"):
        op.drop_table(table)
