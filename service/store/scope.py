"""Whose data a thread may see: while it acts for a tenant, every query of rows that have one is narrowed to that one.

Functions of this package name the tenant themselves. This is the one place that holds when one of them forgets to:
rows of other tenants are then not found, changed or removed, whatever was asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker, with_loader_criteria

from service.store.tables.row import Owned

_acting_for: ContextVar[str | None] = ContextVar("acting_for", default=None)


def act_for(tenant_id: str | None) -> None:
    """From now on this thread acts for the tenant; None: for the installation, as workers and operators do."""
    _acting_for.set(tenant_id)


def acts_for() -> str | None:
    """For which tenant this thread acts."""
    return _acting_for.get()


@contextmanager
def for_everybody() -> Iterator[None]:
    """In the block the thread acts for the installation: dead letters are listed, and batches fed, across tenants."""
    token = _acting_for.set(None)
    try:
        yield
    finally:
        _acting_for.reset(token)


def keep_to_tenants(*makers: sessionmaker[Session]) -> None:
    """Let every session obey."""
    for sessions in makers:
        event.listen(sessions, "do_orm_execute", _narrow)


def _narrow(state: ORMExecuteState) -> None:
    tenant_id = _acting_for.get()
    if tenant_id is None or not (state.is_select or state.is_update or state.is_delete):
        return
    # As a function of the class: an alias has a column of its own.
    owned = with_loader_criteria(Owned, lambda row: row.tenant_id == tenant_id, include_aliases=True)
    state.statement = state.statement.options(owned)
