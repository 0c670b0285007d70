"""Items of batches are found by their question, so that answers that no item has can be told from the others."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_HAS_DIGEST = sa.text("digest IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_batch_items_digest", "batch_items", ["digest"], sqlite_where=_HAS_DIGEST, postgresql_where=_HAS_DIGEST
    )


def downgrade() -> None:
    op.drop_index("ix_batch_items_digest", table_name="batch_items")
