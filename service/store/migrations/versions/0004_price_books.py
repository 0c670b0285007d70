"""Price books of tenants and their lines."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "price_books",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dated", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("indicative", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("priced_count", sa.Integer(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("effective_from", sa.Date(), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(effective_from IS NULL) = (activated_at IS NULL)", name=op.f("ck_price_books_activated")
        ),
        sa.CheckConstraint("used_at IS NULL OR activated_at IS NOT NULL", name=op.f("ck_price_books_used")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_price_books_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_books")),
        sa.UniqueConstraint("tenant_id", "name", "version", name=op.f("uq_price_books_tenant_id_name_version")),
    )
    op.create_index(op.f("ix_price_books_tenant_id_id"), "price_books", ["tenant_id", "id"])
    op.create_index(op.f("ix_price_books_tenant_id_effective_from"), "price_books", ["tenant_id", "effective_from"])

    op.create_table(
        "price_book_lines",
        sa.Column("book_id", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("list_price", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("lead_time_weeks", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["book_id"], ["price_books.id"], name=op.f("fk_price_book_lines_book_id_price_books")),
        sa.PrimaryKeyConstraint("book_id", "place", name=op.f("pk_price_book_lines")),
        sa.UniqueConstraint("book_id", "part", name=op.f("uq_price_book_lines_book_id_part")),
    )


def downgrade() -> None:
    op.drop_table("price_book_lines")
    op.drop_table("price_books")
