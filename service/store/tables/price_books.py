"""Price books of tenants: versions that are uploaded whole, put in force from a day on, and never changed once used."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.exact import Exact
from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class PriceBookRow(Owned, Row):
    """One version of a tenant's book. Its lines and its head stay; `changes` counts what was done about its force.

    `digest` is the identity of what it says of prices. `used_at` is when a quote was first priced from it.
    """

    __tablename__ = "price_books"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name", "version"),
        CheckConstraint("(effective_from IS NULL) = (activated_at IS NULL)", name="activated"),
        CheckConstraint("used_at IS NULL OR activated_at IS NOT NULL", name="used"),
        Index(None, "tenant_id", "id"),
        Index(None, "tenant_id", "effective_from"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[int]
    dated: Mapped[date]
    currency: Mapped[str] = mapped_column(Text)
    indicative: Mapped[bool]
    note: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    line_count: Mapped[int]
    priced_count: Mapped[int]
    expires_on: Mapped[date | None]
    effective_from: Mapped[date | None]
    activated_at: Mapped[datetime | None] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    changes: Mapped[int] = mapped_column(default=0)
    principal: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)


class PriceBookLineRow(Row):
    """The price of one part; None is a part that the seller lists and has no price for."""

    __tablename__ = "price_book_lines"
    __table_args__ = (UniqueConstraint("book_id", "part"),)

    book_id: Mapped[str] = mapped_column(ForeignKey("price_books.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    part: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    list_price: Mapped[Decimal | None] = mapped_column(Exact)
    sku: Mapped[str | None] = mapped_column(Text)
    lead_time_weeks: Mapped[int | None]
    note: Mapped[str] = mapped_column(Text)
