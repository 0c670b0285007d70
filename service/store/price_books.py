"""Price books: functions (session, ...) -> row, every one of one tenant."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.orm import Session

from service.store.filters import PriceBookFilter, of_price_books
from service.store.insert_many import insert_many
from service.store.tables.price_books import PriceBookLineRow, PriceBookRow
from service.store.written import rows_written

LINE = ("part", "kind", "unit", "list_price", "sku", "lead_time_weeks", "note")


def add(session: Session, row: PriceBookRow, lines: Sequence[Mapping[str, Any]]) -> None:
    """A new version with its lines, given as their columns; IntegrityError when another upload took the version."""
    session.add(row)
    session.flush()
    insert_many(session.connection(), PriceBookLineRow, [{"book_id": row.id, **line} for line in lines])


def next_version(session: Session, tenant_id: str, name: str) -> int:
    """The version that the next upload of this name makes."""
    of_name = (PriceBookRow.tenant_id == tenant_id, PriceBookRow.name == name)
    return (session.scalar(select(func.max(PriceBookRow.version)).where(*of_name)) or 0) + 1


def get(session: Session, tenant_id: str, book_id: str) -> PriceBookRow | None:
    """The tenant's book of that id; None for another tenant's."""
    return session.scalar(select(PriceBookRow).where(PriceBookRow.tenant_id == tenant_id, PriceBookRow.id == book_id))


def several(session: Session, tenant_id: str, book_ids: Collection[str]) -> Sequence[PriceBookRow]:
    """The tenant's books of these ids, in any order."""
    query = select(PriceBookRow).where(PriceBookRow.tenant_id == tenant_id, PriceBookRow.id.in_(book_ids))
    return session.scalars(query).all()


def lines(session: Session, tenant_id: str, book_id: str) -> Sequence[PriceBookLineRow]:
    """The lines of the tenant's book, as they were uploaded."""
    query = (
        select(PriceBookLineRow)
        .join(PriceBookRow, PriceBookRow.id == PriceBookLineRow.book_id)
        .where(PriceBookRow.tenant_id == tenant_id, PriceBookRow.id == book_id)
        .order_by(PriceBookLineRow.place)
    )
    return session.scalars(query).all()


def line_columns(session: Session, tenant_id: str, book_id: str) -> Sequence[Row[Any]]:
    """The same as plain rows, for who prices from them: objects would take several times as long."""
    columns = (getattr(PriceBookLineRow, name) for name in LINE)
    query = (
        select(*columns)
        .join(PriceBookRow, PriceBookRow.id == PriceBookLineRow.book_id)
        .where(PriceBookRow.tenant_id == tenant_id, PriceBookRow.id == book_id)
    )
    return session.execute(query).all()


def newest(
    session: Session, tenant_id: str, *, only: PriceBookFilter, before_id: str | None, limit: int
) -> Sequence[PriceBookRow]:
    """The tenant's books, newest first, older than `before_id`."""
    query = select(PriceBookRow).where(PriceBookRow.tenant_id == tenant_id, *of_price_books(only))
    if before_id is not None:
        query = query.where(PriceBookRow.id < before_id)
    return session.scalars(query.order_by(PriceBookRow.id.desc()).limit(limit)).all()


def in_force(session: Session, tenant_id: str, *, on: date) -> Mapping[str, PriceBookRow]:
    """By currency: the book that prices on that day. Of two that would, the one with the later first day does.

    Where these are one day, the one that was activated last.
    """
    query = (
        select(PriceBookRow)
        .where(
            PriceBookRow.tenant_id == tenant_id,
            PriceBookRow.effective_from <= on,
            or_(PriceBookRow.expires_on.is_(None), PriceBookRow.expires_on >= on),
        )
        .order_by(PriceBookRow.effective_from, PriceBookRow.activated_at, PriceBookRow.id)
    )
    return {row.currency: row for row in session.scalars(query)}


def activate(session: Session, read: PriceBookRow, *, effective_from: date, now: datetime) -> bool:
    """Put the book in force from that day; False when it was changed, or a quote was priced from it, since."""
    values = {"effective_from": effective_from, "activated_at": now, "changes": read.changes + 1}
    if not _update(session, read, values):
        return False
    again = select(PriceBookRow).where(PriceBookRow.tenant_id == read.tenant_id, PriceBookRow.id == read.id)
    session.scalars(again, execution_options={"populate_existing": True}).one()
    return True


def mark_used(session: Session, tenant_id: str, book_id: str, *, on: date, now: datetime) -> bool:
    """A quote is priced from the book: from now on nothing about it changes.

    False when it is not in force on that day: it was activated for a later one since it was read.
    """
    this = (PriceBookRow.tenant_id == tenant_id, PriceBookRow.id == book_id)
    query = update(PriceBookRow).where(*this, PriceBookRow.used_at.is_(None), PriceBookRow.effective_from <= on)
    if rows_written(session, query.values(used_at=now)) == 1:
        return True
    return session.scalar(select(PriceBookRow.id).where(*this, PriceBookRow.used_at.is_not(None))) is not None


def _update(session: Session, read: PriceBookRow, values: dict[str, Any]) -> bool:
    same = (PriceBookRow.id == read.id, PriceBookRow.changes == read.changes, PriceBookRow.used_at.is_(None))
    return rows_written(session, update(PriceBookRow).where(*same).values(**values)) == 1
