"""Items of batches are found by their question, so that answers that no item has can be told from the others."""

import sqlalchemy as sa

from service.store.migrations.online import create_index, drop_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_HAS_DIGEST = sa.text("digest IS NOT NULL")


def upgrade() -> None:
    create_index("ix_batch_items_digest", "batch_items", ["digest"], where=_HAS_DIGEST)


def downgrade() -> None:
    drop_index("ix_batch_items_digest", "batch_items")
