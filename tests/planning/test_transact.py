"""A transaction that a time limit interrupts lets go of everything at once."""

import signal
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.errors import UnavailableError
from service.planning.keys import create_tenant, set_tenant_disabled
from service.planning.transact import read, transact
from service.queue import TimeLimitReached
from service.store.silent import SilentDatabaseError

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@contextmanager
def time_limit(seconds):
    """As a worker's soft limit: a signal whose handler raises, wherever the process is."""

    def strike(*_):
        raise TimeLimitReached

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def sessions_in_transactions(runtime):
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND state <> 'idle'"
    )
    return read(runtime, lambda session: session.scalar(query))


@ON_POSTGRESQL
def test_a_time_limit_in_the_middle_of_a_statement_leaves_no_lock_behind(runtime):
    tenant_id = create_tenant(runtime, "acme")
    held = []

    def work(session):
        held.append(session)
        session.execute(text("UPDATE tenants SET name = 'other'"))
        session.execute(text("SELECT pg_sleep(0.5)"))

    with time_limit(0.2), pytest.raises(TimeLimitReached) as struck:
        transact(runtime, work)
    # What was raised, and the session with it, is still in somebody's hands, as it is in the logs of a worker.
    assert struck.traceback
    set_tenant_disabled(runtime, tenant_id, disabled=True)
    name = read(runtime, lambda session: session.scalar(text("SELECT name FROM tenants")))
    assert name == "acme"


@ON_POSTGRESQL
def test_a_time_limit_while_reading_leaves_no_session_behind(runtime):
    with time_limit(0.2), pytest.raises(TimeLimitReached):
        read(runtime, lambda session: session.execute(text("SELECT pg_sleep(0.5)")))
    transact(runtime, lambda session: session.execute(text("SELECT pg_sleep(0.6)")))
    assert sessions_in_transactions(runtime) == 0


@ON_POSTGRESQL
def test_a_time_limit_among_many_statements_is_told_as_such_and_leaves_no_lock_behind(runtime):
    """The driver sends many at once, and what it says of the interruption is another error than the time limit."""
    tenant_id = create_tenant(runtime, "acme")

    def work(session):
        session.execute(text("UPDATE tenants SET name = 'other'"))
        session.connection().execute(text("SELECT pg_sleep(:s)"), [{"s": 0.1}] * 10)

    with time_limit(0.25), pytest.raises(TimeLimitReached) as struck:
        transact(runtime, work)
    assert struck.traceback
    set_tenant_disabled(runtime, tenant_id, disabled=True)
    assert sessions_in_transactions(runtime) == 0


class SerializationError(Exception):
    """As a driver says that the database has rolled back and asks for another try."""

    sqlstate = "40001"


def test_whoever_puts_things_in_order_after_a_time_limit_has_another_try_like_anybody(runtime):
    tries = []

    def work(session):
        tries.append(session)
        if len(tries) == 1:
            raise OperationalError("UPDATE", {}, SerializationError()) from SerializationError()
        return "stored"

    def struck():
        raise TimeLimitReached

    try:
        struck()
    except TimeLimitReached:
        assert transact(runtime, work) == "stored"
    assert len(tries) == 2


@ON_POSTGRESQL
def test_a_database_that_says_nothing_is_asked_once_and_then_told_of(runtime):
    tries = []

    def work(_session):
        tries.append(1)
        raise OperationalError("SELECT", {}, SilentDatabaseError("nothing came"), connection_invalidated=True)

    with pytest.raises(UnavailableError):
        transact(runtime, work)
    assert len(tries) == 1
