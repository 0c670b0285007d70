"""Deliveries that were rung for are counted without a look at those that wait."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_RUNG = sa.text("status = 'pending' AND sent_at IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_webhook_deliveries_rung",
        "webhook_deliveries",
        ["webhook_id"],
        sqlite_where=_RUNG,
        postgresql_where=_RUNG,
    )


def downgrade() -> None:
    op.drop_index("ix_webhook_deliveries_rung", table_name="webhook_deliveries")
