"""Runs that wait are found by tenant, and the oldest of one first, without a look at the others."""

import sqlalchemy as sa

from service.store.migrations.online import create_index, drop_index

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_WAITS = sa.text("status = 'queued' AND follows_run_id IS NULL")


def upgrade() -> None:
    create_index("ix_runs_waiting", "runs", ["tenant_id", "id"], where=_WAITS)


def downgrade() -> None:
    drop_index("ix_runs_waiting", "runs")
