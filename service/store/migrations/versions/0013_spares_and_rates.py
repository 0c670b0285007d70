"""What was stopped without having computed is counted apart; how many items a call takes; how fast a batch is."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In the order in which workers take their rows.
    op.add_column("batches", sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("batches", sa.Column("recent_rate_items_s", sa.Double(), nullable=True))
    op.add_column("batch_chunks", sa.Column("items_call", sa.Integer(), nullable=True))
    op.add_column("batch_items", sa.Column("spares", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("spares", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("batches", "counted_at")
    op.drop_column("batches", "recent_rate_items_s")
    op.drop_column("batch_chunks", "items_call")
    op.drop_column("batch_items", "spares")
    op.drop_column("runs", "spares")
