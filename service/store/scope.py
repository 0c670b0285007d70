"""Whose data a thread may see: while it acts for tenants, every statement on rows that have one is kept to theirs.

Functions of this package name the tenant themselves. This is the one place that holds when one of them forgets to:
queries of objects are narrowed, so rows of other tenants are not found, changed or removed, whatever was asked; what
goes past the objects (Core, the driver, what is flushed) is refused where it does not name the tenant or names another.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, sessionmaker, with_loader_criteria
from sqlalchemy.sql import FromClause, operators, visitors
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import BinaryExpression, ClauseElement

from service.store.tables.row import Owned, Row

TENANT = "tenant_id"
# Execution options of a statement that was narrowed, or whose rows were looked at, before it came to its connection.
KEPT = {"headroom_kept_to_tenants": True}

_acting_for: ContextVar[frozenset[str] | None] = ContextVar("acting_for", default=None)
# What is flushed was looked at, object by object.
_flushing: ContextVar[bool] = ContextVar("flushing", default=False)
_named: WeakKeyDictionary[ClauseElement, bool] = WeakKeyDictionary()
_ONE_OF = (operators.eq, operators.in_op)


class ForeignRowsError(Exception):
    """A statement of ours would reach rows of another tenant than the ones that the thread acts for."""


def act_for(tenant_id: str | None) -> None:
    """From now on this thread acts for the tenant; None: for the installation, as workers and operators do."""
    _acting_for.set(None if tenant_id is None else frozenset((tenant_id,)))
    _flushing.set(False)


def acts_for() -> frozenset[str] | None:
    """For which tenants this thread acts."""
    return _acting_for.get()


def is_flushing() -> bool:
    """Whether what is sent to the database comes of objects that were looked at."""
    return _flushing.get()


@contextmanager
def for_everybody() -> Iterator[None]:
    """In the block the thread acts for the installation: dead letters are listed, and batches fed, across tenants."""
    token = _acting_for.set(None)
    try:
        yield
    finally:
        _acting_for.reset(token)


@contextmanager
def for_these(tenant_ids: Iterable[str]) -> Iterator[None]:
    """In the block the thread acts for several tenants: what they asked for at the same moment is written together."""
    token = _acting_for.set(frozenset(tenant_ids))
    try:
        yield
    finally:
        _acting_for.reset(token)


def check_tenants(tenant_ids: Collection[Any]) -> None:
    """ForeignRowsError where rows of these tenants are none of the thread's business."""
    acting = _acting_for.get()
    if acting is not None and not acting.issuperset(tenant_ids):
        raise ForeignRowsError("rows of another tenant")


def is_owned(table: type[Row] | FromClause) -> bool:
    """Whether each of its rows is of one tenant."""
    return TENANT in (table if isinstance(table, FromClause) else table.__table__).columns


def checked_words(statement: ClauseElement) -> ClauseElement:
    """The statement, to be compiled for the driver; ForeignRowsError where it does not name whose rows it means."""
    if not _names_tenants(statement):
        raise ForeignRowsError(f"no tenant in {statement}")
    return statement


def keep_to_tenants(engine: Engine, *makers: sessionmaker[Session]) -> None:
    """Let the engine's connections and every session obey."""
    event.listen(engine, "before_execute", _check)
    for sessions in makers:
        event.listen(sessions, "do_orm_execute", _narrow)
        event.listen(sessions, "before_flush", _check_objects)
        event.listen(sessions, "after_flush_postexec", _flushed)
        event.listen(sessions, "after_soft_rollback", _flushed)


def _narrow(state: ORMExecuteState) -> None:
    acting = _acting_for.get()
    if acting is None or not state.is_orm_statement or not (state.is_select or state.is_update or state.is_delete):
        return
    if state.is_column_load or (state.is_update and isinstance(state.parameters, list)):
        # Of rows by their keys nothing is narrowed: these name the tenant, or are refused below.
        return
    # As functions of the class: an alias has a column of its own.
    if len(acting) == 1:
        (tenant_id,) = acting
        owned = with_loader_criteria(Owned, lambda row: row.tenant_id == tenant_id, include_aliases=True)
    else:
        tenant_ids = sorted(acting)
        owned = with_loader_criteria(Owned, lambda row: row.tenant_id.in_(tenant_ids), include_aliases=True)
    state.statement = state.statement.options(owned)
    state.update_execution_options(**KEPT)


def _check_objects(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    acting = _acting_for.get()
    if acting is None:
        return
    check_tenants({row.tenant_id for row in (*session.new, *session.dirty, *session.deleted) if isinstance(row, Owned)})
    _flushing.set(True)


def _flushed(*_: Any) -> None:
    _flushing.set(False)


def _check(
    connection: Connection,
    statement: ClauseElement,
    multiparams: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """What was not narrowed names the tenants itself, or is refused."""
    if _acting_for.get() is None or _flushing.get() or options.keys() & KEPT.keys():
        return
    if isinstance(statement, Insert) and is_owned(statement.table):
        rows = multiparams or [params or statement.compile(dialect=connection.dialect).params]
        check_tenants([row.get(TENANT) for row in rows])
    elif not _names_tenants(statement):
        raise ForeignRowsError(f"no tenant in {statement}")


def _names_tenants(statement: ClauseElement) -> bool:
    """Whether the tenant of each table of rows that have one is compared with something."""
    known = _named.get(statement)
    if known is None:
        parts = list(visitors.iterate(statement))
        owned = {part for part in parts if isinstance(part, Table) and is_owned(part)}
        compared = {
            getattr(part.left.table, "element", part.left.table)
            for part in parts
            if isinstance(part, BinaryExpression)
            and part.operator in _ONE_OF
            and getattr(part.left, "key", None) == TENANT
        }
        known = _named[statement] = owned <= compared
    return known
