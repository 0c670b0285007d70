"""Quotas of tenants, and an index of the runs that failed."""

import sqlalchemy as sa
from alembic import op

from service.store.migrations.online import create_index, drop_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_QUOTAS = ("quota_reads", "quota_writes", "quota_open_runs")
_FAILED = sa.text("status = 'failed'")


def upgrade() -> None:
    create_index("ix_runs_failed", "runs", ["id"], where=_FAILED)
    for name in _QUOTAS:
        op.add_column("tenants", sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    drop_index("ix_runs_failed", "runs")
    for name in _QUOTAS:
        op.drop_column("tenants", name)
