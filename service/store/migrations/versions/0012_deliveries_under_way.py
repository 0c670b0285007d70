"""Deliveries that were rung for are counted without a look at those that wait."""

import sqlalchemy as sa

from service.store.migrations.online import create_index, drop_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_RUNG = sa.text("status = 'pending' AND sent_at IS NOT NULL")


def upgrade() -> None:
    create_index("ix_webhook_deliveries_rung", "webhook_deliveries", ["webhook_id"], where=_RUNG)


def downgrade() -> None:
    drop_index("ix_webhook_deliveries_rung", "webhook_deliveries")
