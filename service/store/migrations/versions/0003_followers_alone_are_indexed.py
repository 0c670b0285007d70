"""The index of followers holds followers alone: most runs follow nobody, and each of them was written into it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAME = "ix_runs_follows_run_id"
_FOLLOWS = sa.text("follows_run_id IS NOT NULL")


def upgrade() -> None:
    op.drop_index(_NAME, table_name="runs")
    op.create_index(_NAME, "runs", ["follows_run_id"], sqlite_where=_FOLLOWS, postgresql_where=_FOLLOWS)


def downgrade() -> None:
    op.drop_index(_NAME, table_name="runs")
    op.create_index(_NAME, "runs", ["follows_run_id"])
