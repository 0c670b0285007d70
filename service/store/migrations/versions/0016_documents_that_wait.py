"""Documents that nobody has made yet are found without a look at those that are there, and know their trace."""

import sqlalchemy as sa
from alembic import op

from service.store.migrations.online import create_index, drop_index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_WAITS = sa.text("content IS NULL")


def upgrade() -> None:
    create_index("ix_quote_documents_waits", "quote_documents", ["asked_at"], where=_WAITS)
    op.add_column("quote_documents", sa.Column("traceparent", sa.Text))


def downgrade() -> None:
    drop_index("ix_quote_documents_waits", "quote_documents")
    op.drop_column("quote_documents", "traceparent")
