"""Quotes: functions (session, ...) -> row, every one of one tenant; of two changes at once one gets through."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session, defer

from service.store.filters import QuoteFilter, of_quotes
from service.store.insert import insert_into
from service.store.stated import stated
from service.store.tables.quotes import QuoteNumberRow, QuoteRow, QuoteState
from service.store.written import rows_written


def next_number(session: Session, tenant_id: str, year: int) -> int:
    """The next number of the tenant's year, from 1; two at once wait for each other.

    Its transaction is to be committed before the number is used: then no rollback brings it back.
    """
    insert = insert_into(QuoteNumberRow, session.get_bind().dialect.name).values(tenant_id=tenant_id, year=year, last=1)
    statement = insert.on_conflict_do_update(
        index_elements=[QuoteNumberRow.tenant_id, QuoteNumberRow.year], set_={"last": QuoteNumberRow.last + 1}
    ).returning(QuoteNumberRow.last)
    return int(session.execute(statement).scalar_one())


def add(session: Session, row: QuoteRow) -> None:
    """A new revision; IntegrityError while another one of its number is being written."""
    session.add(row)
    session.flush()


def get(session: Session, tenant_id: str, quote_id: str) -> QuoteRow | None:
    """The tenant's revision of that id; None for another tenant's."""
    return session.scalar(select(QuoteRow).where(QuoteRow.tenant_id == tenant_id, QuoteRow.id == quote_id))


def accepted(session: Session, tenant_id: str, number: str) -> QuoteRow | None:
    """The revision of the number that was accepted; there is at most one, and None while there is none."""
    query = _without_texts().where(QuoteRow.tenant_id == tenant_id, QuoteRow.number == number)
    return session.scalar(query.where(stated(QuoteRow.state, QuoteState.ACCEPTED)))


def any_tenants(session: Session, quote_id: str) -> QuoteRow | None:
    """The revision of that id, whoever's: for workers, which act for no caller."""
    return session.get(QuoteRow, quote_id)


def hold_number(session: Session, tenant_id: str, quote_id: str) -> Sequence[QuoteRow]:
    """All revisions of the number of that quote, oldest first and as they are now, locked until this transaction ends.

    Whoever changes one of them locks them all in this order, so nobody waits in a circle. None of another tenant's.
    """
    number = select(QuoteRow.number).where(QuoteRow.tenant_id == tenant_id, QuoteRow.id == quote_id)
    query = (
        select(QuoteRow)
        .where(QuoteRow.tenant_id == tenant_id, QuoteRow.number == number.scalar_subquery())
        .order_by(QuoteRow.revision)
        .with_for_update()
    )
    return session.scalars(query, execution_options={"populate_existing": True}).all()


def change(session: Session, read: QuoteRow, *, now: datetime, **values: Any) -> bool:
    """Write these over the row that was read, as its next version; False when it is no longer in that state."""
    same = (QuoteRow.id == read.id, QuoteRow.version == read.version, QuoteRow.state == str(read.state))
    query = update(QuoteRow).where(*same).values(**values, version=read.version + 1, changed_at=now)
    changed = rows_written(session, query) == 1
    if changed:
        again = select(QuoteRow).where(QuoteRow.tenant_id == read.tenant_id, QuoteRow.id == read.id)
        session.scalars(again, execution_options={"populate_existing": True}).one()
    return changed


def newest(
    session: Session, tenant_id: str, *, only: QuoteFilter, now: datetime, before_id: str | None, limit: int
) -> Sequence[QuoteRow]:
    """The tenant's revisions as they stand at a moment, newest first, older than `before_id`."""
    query = _without_texts().where(QuoteRow.tenant_id == tenant_id, *of_quotes(only, now=now))
    if before_id is not None:
        query = query.where(QuoteRow.id < before_id)
    return session.scalars(query.order_by(QuoteRow.id.desc()).limit(limit)).all()


def revisions(session: Session, tenant_id: str, number: str, *, before: int | None, limit: int) -> Sequence[QuoteRow]:
    """The revisions of a number, newest first, older than revision `before`."""
    query = _without_texts().where(QuoteRow.tenant_id == tenant_id, QuoteRow.number == number)
    if before is not None:
        query = query.where(QuoteRow.revision < before)
    return session.scalars(query.order_by(QuoteRow.revision.desc()).limit(limit)).all()


def overdue(session: Session, *, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
    """Tenant and id of issued revisions whose validity has ended, the longest ended first."""
    query = (
        select(QuoteRow.tenant_id, QuoteRow.id)
        .where(stated(QuoteRow.state, QuoteState.ISSUED), QuoteRow.expires_at <= now)
        .order_by(QuoteRow.expires_at)
        .limit(limit)
    )
    return [(tenant_id, quote_id) for tenant_id, quote_id in session.execute(query)]


def live(
    session: Session,
    tenant_id: str,
    *,
    states: Collection[QuoteState],
    only: Collection[str] | None = None,
    before_id: str | None = None,
    limit: int,
) -> Sequence[QuoteRow]:
    """The tenant's revisions in these states, newest first, older than `before_id`; of `only` where given."""
    of_states = QuoteRow.state.in_([state.value for state in states])
    query = _without_texts().where(QuoteRow.tenant_id == tenant_id, of_states)
    if only is not None:
        query = query.where(QuoteRow.id.in_(only))
    if before_id is not None:
        query = query.where(QuoteRow.id < before_id)
    return session.scalars(query.order_by(QuoteRow.id.desc()).limit(limit)).all()


def _without_texts() -> Select[QuoteRow]:
    """For lists: what was asked and what the quote says is long, and stays in the database."""
    return select(QuoteRow).options(defer(QuoteRow.request, raiseload=True), defer(QuoteRow.snapshot, raiseload=True))
