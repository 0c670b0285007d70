"""Whose data a thread may see: while it acts for tenants, every statement on rows that have one is kept to theirs.

Functions of this package name the tenant themselves. This is the one place that holds when one of them forgets to:
queries of objects are narrowed, so rows of other tenants are not found, changed or removed, whatever was asked. Then
every statement that SQLAlchemy has compiled, narrowed or not, is refused unless each of its tables that has tenants is
compared with those of the thread, and with no other; so are words that nobody can read (`text`, hints). Rows that are
inserted and objects that are flushed are of the thread's tenants or refused, and no row is given another tenant.

What it does not see: SQL in a `literal_column` or an operator of one's own (`op`), and words that go straight to the
driver. The latter are those of insert_many and results alone, which ask `check_tenants` themselves.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Dialect, Engine, Select, event
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, sessionmaker, with_loader_criteria
from sqlalchemy.sql.compiler import Compiled, SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from service.store.tables.row import Owned
from service.store.whose import Named, WhoseCompiler, whose

# Wherever a statement goes to the driver, compiled and with its values.
_SENT = ("do_execute", "do_executemany", "do_execute_no_params")

_acting_for: ContextVar[frozenset[str] | None] = ContextVar("acting_for", default=None)
# What is flushed was looked at, object by object.
_flushing: ContextVar[bool] = ContextVar("flushing", default=False)


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


def checked_words(statement: ClauseElement, dialect: Dialect) -> str:
    """The statement as the driver takes it; ForeignRowsError where it does not name whose rows it means.

    Its values are nobody's to look at here: who gives them asks `check_tenants`.
    """
    compiled = statement.compile(dialect=dialect)
    _checked(compiled)
    return str(compiled)


def keep_to_tenants(engine: Engine, *makers: sessionmaker[Session]) -> None:
    """Let the engine's connections and every session obey."""
    engine.dialect.statement_compiler = whose(engine.dialect.statement_compiler)
    for sent in _SENT:
        event.listen(engine, sent, _check)
    for sessions in makers:
        event.listen(sessions, "do_orm_execute", _narrow)
        event.listen(sessions, "before_flush", _check_objects)
        event.listen(sessions, "after_flush_postexec", _flushed)
        event.listen(sessions, "after_soft_rollback", _flushed)


def _narrow(state: ORMExecuteState) -> None:
    acting = _acting_for.get()
    if acting is None or not state.is_orm_statement or not (state.is_select or state.is_update or state.is_delete):
        return
    if state.is_update and state.is_executemany:
        # Of rows by their keys nothing can be narrowed: the key names the tenant, or they are refused below.
        return
    if state.is_column_load:
        _narrow_load(state, sorted(acting))
        return
    # As functions of the class: an alias has a column of its own.
    if len(acting) == 1:
        (tenant_id,) = acting
        owned = with_loader_criteria(Owned, lambda row: row.tenant_id == tenant_id, include_aliases=True)
    else:
        tenant_ids = sorted(acting)
        owned = with_loader_criteria(Owned, lambda row: row.tenant_id.in_(tenant_ids), include_aliases=True)
    state.statement = state.statement.options(owned)


def _narrow_load(state: ORMExecuteState, tenant_ids: list[str]) -> None:
    """An object whose attributes are read again: by its key, and the ORM leaves out what it adds to queries.

    The object itself may have lost its tenant with them, so the row is asked.
    """
    mapper = state.bind_mapper
    if isinstance(state.statement, Select) and mapper is not None and issubclass(mapper.class_, Owned):
        state.statement = state.statement.where(mapper.class_.tenant_id.in_(tenant_ids))


def _check_objects(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    acting = _acting_for.get()
    if acting is None:
        return
    check_tenants({row.tenant_id for row in (*session.new, *session.dirty, *session.deleted) if isinstance(row, Owned)})
    _flushing.set(True)


def _flushed(*_: Any) -> None:
    _flushing.set(False)


def _check(*sent: Any) -> None:
    """What does not name whose rows it means, each of them, is refused; so is what names another's."""
    context = sent[-1]
    if _acting_for.get() is None or _flushing.get() or not isinstance(context.compiled, SQLCompiler):
        return
    for place in _checked(context.compiled).places:
        for values in context.compiled_parameters:
            check_tenants(_values_at(place, values, context))


def _checked(compiled: Compiled) -> Named:
    if not isinstance(compiled, WhoseCompiler):
        raise ForeignRowsError(f"nobody knows whose rows are meant in {compiled}")
    named = compiled.named
    if named.forgotten:
        raise ForeignRowsError(f"no tenant of {', '.join(named.forgotten)} in {compiled}")
    return named


def _values_at(place: str, values: Mapping[str, Any], context: Any) -> Collection[Any]:
    """One value, or those of an IN."""
    if place in values:
        return (values[place],)
    expanded: Mapping[str, list[str]] = context._expanded_parameters  # noqa: SLF001 - said nowhere else
    if place not in expanded:
        raise ForeignRowsError(f"no value of {place} in {context.statement}")
    return [values[each] for each in expanded[place]]
