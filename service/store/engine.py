"""Engines for SQLite and PostgreSQL: timeouts, pools and the pragmas that make SQLite safe for several processes."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from service.store.silent import give_up_after

# Execution option of a session that will write: SQLite then takes its write lock at BEGIN, not half way through.
WRITES = {"headroom_writes": True}

# The same of a connection whose SQLite never waits by itself.
_WRITES_AT_ONCE = {**WRITES, "headroom_never_waits": True}

# When a connection was last used, and for how long it is then taken to be there.
_USED_AT = "headroom_used_at_s"
_TRUSTED_S = 1.0

_BUSY_TIMEOUT_MS = 5000
_FIRST_LOOK_S = 0.0001
_LONGEST_LOOK_S = 0.005
_CHECKPOINT_PAGES = 65536
_STATEMENT_TIMEOUT_MS = 5000
_LOCK_TIMEOUT_MS = 3000
_IDLE_TRANSACTION_TIMEOUT_MS = 15000
_CONNECT_TIMEOUT_S = 3
_POOL_TIMEOUT_S = 5
# For who serves: above the time limit of statements, which ends all that a database ends itself.
ANSWERS_WITHIN_S = 7.0


def make_engine(database_url: str, *, pool_size: int = 5, answers_within_s: float | None = None) -> Engine:
    """An engine for the URL; nothing is opened before its first use.

    `answers_within_s` is for how long it waits for a database on the network to say anything; None: for ever.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, pool_size)
    engine = _postgresql(url, pool_size)
    if answers_within_s is not None:
        give_up_after(engine, answers_within_s)
    return engine


def engine_for_reading(engine: Engine) -> Engine:
    """The same for who only reads, with its connections and all that is heard of them.

    On PostgreSQL each statement sees what is committed when it begins, in a transaction or without; without one, to
    read asks once and not three times. SQLite's readers see one state in all that they read.
    """
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")


def _postgresql(url: URL, pool_size: int) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        json_serializer=_json,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "application_name": "headroom",
            "options": (
                f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} -c lock_timeout={_LOCK_TIMEOUT_MS}"
                f" -c idle_in_transaction_session_timeout={_IDLE_TRANSACTION_TIMEOUT_MS} -c timezone=UTC"
            ),
        },
    )
    event.listen(engine, "checkin", _on_checkin)
    event.listen(engine, "checkout", _on_checkout(engine.dialect))
    return engine


def _on_checkin(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _on_checkout(dialect: Dialect) -> Callable[[Any, ConnectionPoolEntry, Any], None]:
    """A connection that lay there for a while is tried first; one that was just used costs no question.

    Whoever finds that it is gone all the same tries once more (service/planning/transact.py).
    """

    def tried(connection: Any, record: ConnectionPoolEntry, _borrowed: Any) -> None:
        used_at_s = record.info.get(_USED_AT)
        if used_at_s is None or time.monotonic() - used_at_s < _TRUSTED_S:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            # The others are as old.
            raise InvalidatePoolError from error

    return tried


def _json(value: Any) -> str:
    """A value of a JSON column as text, in a tenth of the time that the standard library takes."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A number of more than 64 bits, or half a surrogate pair.
        return json.dumps(value)


class KeptOpen:
    """Connections for writing rows that stay open: what a pool does to lend one and to take it back costs as much as
    writing a row. There are as many as ever wrote at once; one that something went wrong on is closed.
    """

    def __init__(self, engine: Engine, *, most_idle: int = 8) -> None:
        """Of the engine's connections so many may stay open here; the others are for everybody."""
        self._engine = engine
        self._most_idle = most_idle
        self._idle: list[Connection] = []
        event.listen(engine, "engine_disposed", self._close)

    @property
    def dialect(self) -> Dialect:
        """How the database is spoken to."""
        return self._engine.dialect

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of this thread alone, to be committed by it."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._opened()
        try:
            yield connection
        except BaseException:
            _end(connection)
            raise
        if len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            _end(connection)

    def _close(self, _engine: Engine) -> None:
        while self._idle:
            _end(self._idle.pop())

    def _opened(self) -> Connection:
        connection = self._engine.connect()
        if connection.dialect.name == "sqlite":
            cast("sqlite3.Connection", connection.connection.driver_connection).execute("PRAGMA busy_timeout=0")
        return connection.execution_options(**_WRITES_AT_ONCE)


def _end(connection: Connection) -> None:
    """Close it for good: the pool gets none back that waits otherwise than its own."""
    connection.invalidate()
    connection.close()


def _sqlite(url: URL, pool_size: int) -> Engine:
    engine = create_engine(
        url, json_serializer=_json, pool_size=pool_size, max_overflow=pool_size, pool_timeout=_POOL_TIMEOUT_S
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    """The driver must not begin transactions by itself, or BEGIN IMMEDIATE would come too late."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    # SQLite does not wait by itself for a lock on a new database when it changes its journal.
    if not _in_time(lambda: cursor.execute("PRAGMA journal_mode=WAL")):
        cursor.execute("PRAGMA journal_mode=WAL")
    for pragma in (
        "synchronous=NORMAL",
        "foreign_keys=ON",
        # The dispatcher carries the log over long before that (service/store/checkpoints.py); this is for when none is.
        f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if "headroom_writes" not in options:
        connection.exec_driver_sql("BEGIN")
        return
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    if not (_begun(driver) if "headroom_never_waits" in options else _begun_without_waiting(driver)):
        # Out of patience: once more, so that the error is one of SQLAlchemy's.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begun_without_waiting(connection: sqlite3.Connection) -> bool:
    connection.execute("PRAGMA busy_timeout=0")
    try:
        return _begun(connection)
    finally:
        connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")


def _begun(connection: sqlite3.Connection) -> bool:
    """Take the write lock, looking often: SQLite itself sleeps up to 100 ms between looks, and a writer needs one."""
    return _in_time(lambda: connection.execute("BEGIN IMMEDIATE"))


def _in_time(run: Callable[[], object]) -> bool:
    """Whether it ran before the patience with a busy database was out; False for any other error too."""
    until_s = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    pause_s = _FIRST_LOOK_S
    while True:
        try:
            run()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                return False
        else:
            return True
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_LOOK_S)
