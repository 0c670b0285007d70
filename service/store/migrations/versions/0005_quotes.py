"""Quotes, the numbers that were given out, and quotes as documents."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATES = (
    "'draft', 'pending_approval', 'approved', 'issued', 'accepted', 'declined', 'expired', 'withdrawn', 'superseded'"
)
_BEING_WRITTEN = sa.text("state IN ('draft', 'pending_approval', 'approved')")
_OUT = sa.text("state IN ('issued', 'accepted')")
_ISSUED = sa.text("state = 'issued'")


def upgrade() -> None:
    op.create_table(
        "quote_numbers",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_quote_numbers_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "year", name=op.f("pk_quote_numbers")),
    )
    op.create_table(
        "quotes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("option", sa.Integer(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total", sa.Text(), nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("indicative", sa.Boolean(), nullable=False),
        sa.Column("price_book_id", sa.Text(), nullable=True),
        sa.Column("price_book_digest", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("approval", sa.JSON(), nullable=False),
        sa.Column("authors", sa.JSON(), nullable=False),
        sa.Column("approved_sha256", sa.Text(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_by", sa.Text(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("acceptance", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("screenings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_quotes_state")),
        sa.CheckConstraint("(approved_at IS NULL) = (approved_sha256 IS NULL)", name=op.f("ck_quotes_approved")),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'issued', 'accepted') OR approved_at IS NOT NULL",
            name=op.f("ck_quotes_approval"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('issued', 'accepted') OR issued_at IS NOT NULL", name=op.f("ck_quotes_issued")
        ),
        sa.CheckConstraint(
            "state NOT IN ('issued', 'accepted') OR (complete AND NOT indicative)", name=op.f("ck_quotes_priced")
        ),
        sa.ForeignKeyConstraint(["price_book_id"], ["price_books.id"], name=op.f("fk_quotes_price_book_id_price_books")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_quotes_run_id_runs")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_quotes_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotes")),
        sa.UniqueConstraint("tenant_id", "number", "revision", name=op.f("uq_quotes_tenant_id_number_revision")),
    )
    op.create_index("ix_quotes_issued", "quotes", ["expires_at"], sqlite_where=_ISSUED, postgresql_where=_ISSUED)
    op.create_index(op.f("ix_quotes_tenant_id_id"), "quotes", ["tenant_id", "id"])
    op.create_index(op.f("ix_quotes_tenant_id_run_id"), "quotes", ["tenant_id", "run_id"])
    for name, where in (("uq_quotes_being_written", _BEING_WRITTEN), ("uq_quotes_out", _OUT)):
        op.create_index(
            name, "quotes", ["tenant_id", "number"], unique=True, sqlite_where=where, postgresql_where=where
        )
    op.create_table(
        "quote_documents",
        sa.Column("quote_id", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("snapshot_sha256", sa.Text(), nullable=False),
        sa.Column("issued", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("rendered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(content IS NULL) = (sha256 IS NULL)", name=op.f("ck_quote_documents_rendered")),
        sa.ForeignKeyConstraint(["quote_id"], ["quotes.id"], name=op.f("fk_quote_documents_quote_id_quotes")),
        sa.PrimaryKeyConstraint("quote_id", "format", name=op.f("pk_quote_documents")),
    )


def downgrade() -> None:
    op.drop_table("quote_documents")
    op.drop_table("quotes")
    op.drop_table("quote_numbers")
