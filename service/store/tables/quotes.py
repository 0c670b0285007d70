"""Quotes: a row for each revision, frozen as canonical JSON with its hash; numbers that are never given out twice."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.exact import Exact
from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class QuoteState(StrEnum):
    """draft -> pending_approval -> approved -> issued -> accepted, declined, expired, withdrawn, superseded."""

    DRAFT = "draft"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    ISSUED = "issued"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


BEING_WRITTEN = (QuoteState.DRAFT, QuoteState.PENDING_APPROVAL, QuoteState.APPROVED)
OUT = (QuoteState.ISSUED, QuoteState.ACCEPTED)
_STATES = ", ".join(f"'{state.value}'" for state in QuoteState)
_BEING_WRITTEN = text("state IN ('draft', 'pending_approval', 'approved')")
_OUT = text("state IN ('issued', 'accepted')")
_ISSUED = text("state = 'issued'")
_WAITS = text("content IS NULL")


class QuoteRow(Owned, Row):
    """One revision. Of a number at most one is being written and at most one is out: issued, or accepted.

    `request` is what the seller asked and `snapshot` what the quote says, both canonical JSON; `sha256` is of the
    snapshot's bytes, `approved_sha256` of those that were approved. `version` counts changes: who changes the row names
    the one that was read. `authors` wrote this revision. `expires_at` is the first moment at which it no longer holds.
    """

    __tablename__ = "quotes"
    __table_args__ = (
        UniqueConstraint("tenant_id", "number", "revision"),
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint("(approved_at IS NULL) = (approved_sha256 IS NULL)", name="approved"),
        CheckConstraint("state NOT IN ('approved', 'issued', 'accepted') OR approved_at IS NOT NULL", name="approval"),
        CheckConstraint("state NOT IN ('issued', 'accepted') OR issued_at IS NOT NULL", name="issued"),
        CheckConstraint("state NOT IN ('issued', 'accepted') OR (complete AND NOT indicative)", name="priced"),
        Index(
            "uq_quotes_being_written",
            "tenant_id",
            "number",
            unique=True,
            sqlite_where=_BEING_WRITTEN,
            postgresql_where=_BEING_WRITTEN,
        ),
        Index("uq_quotes_out", "tenant_id", "number", unique=True, sqlite_where=_OUT, postgresql_where=_OUT),
        Index("ix_quotes_issued", "expires_at", sqlite_where=_ISSUED, postgresql_where=_ISSUED),
        Index(None, "tenant_id", "id"),
        Index(None, "tenant_id", "run_id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    number: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=1)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    option: Mapped[int]
    customer: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    total: Mapped[Decimal | None] = mapped_column(Exact)
    complete: Mapped[bool]
    indicative: Mapped[bool]
    price_book_id: Mapped[str | None] = mapped_column(ForeignKey("price_books.id"))
    price_book_digest: Mapped[str] = mapped_column(Text)
    valid_until: Mapped[date]
    time_zone: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    request: Mapped[str] = mapped_column(Text)
    snapshot: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    approval: Mapped[dict[str, Any]] = mapped_column(JSON)
    authors: Mapped[list[Any]] = mapped_column(JSON)
    approved_sha256: Mapped[str | None] = mapped_column(Text)
    approved_by: Mapped[str | None] = mapped_column(Text)
    approved_at: Mapped[datetime | None] = mapped_column(Moment)
    issued_by: Mapped[str | None] = mapped_column(Text)
    issued_at: Mapped[datetime | None] = mapped_column(Moment)
    closed_by: Mapped[str | None] = mapped_column(Text)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)
    # Why it went back to be written, or was closed; how it was accepted.
    reason: Mapped[str | None] = mapped_column(Text)
    acceptance: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    screenings: Mapped[list[Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Moment)
    changed_at: Mapped[datetime] = mapped_column(Moment)


class QuoteNumberRow(Owned, Row):
    """The number that a tenant gave out last in a year. It only ever grows."""

    __tablename__ = "quote_numbers"

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class QuoteDocumentRow(Row):
    """A revision as a document: asked for, then rendered once by a worker from its snapshot.

    `snapshot_sha256` is of the snapshot that it is of, `issued` whether it shows an issued quote; `sha256` is of the
    bytes. `attempts` counts the workers that began: one that ends them all is not begun for ever.
    """

    __tablename__ = "quote_documents"
    __table_args__ = (
        CheckConstraint("(content IS NULL) = (sha256 IS NULL)", name="rendered"),
        Index("ix_quote_documents_waits", "asked_at", sqlite_where=_WAITS, postgresql_where=_WAITS),
    )

    quote_id: Mapped[str] = mapped_column(ForeignKey("quotes.id"), primary_key=True)
    format: Mapped[str] = mapped_column(Text, primary_key=True)
    snapshot_sha256: Mapped[str] = mapped_column(Text)
    issued: Mapped[bool]
    attempts: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime] = mapped_column(Moment)
    traceparent: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(Text)
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    rendered_at: Mapped[datetime | None] = mapped_column(Moment)
