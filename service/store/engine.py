"""Engines for SQLite and PostgreSQL: timeouts, pools and the pragmas that make SQLite safe for several processes."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL

# Execution option of a session that will write: SQLite then takes its write lock at BEGIN, not half way through.
WRITES = {"headroom_writes": True}

# The same of a connection whose SQLite never waits by itself.
_WRITES_AT_ONCE = {**WRITES, "headroom_never_waits": True}

_BUSY_TIMEOUT_MS = 5000
_FIRST_LOOK_S = 0.0001
_LONGEST_LOOK_S = 0.005
_CHECKPOINT_PAGES = 65536
_STATEMENT_TIMEOUT_MS = 5000
_LOCK_TIMEOUT_MS = 3000
_IDLE_TRANSACTION_TIMEOUT_MS = 15000
_CONNECT_TIMEOUT_S = 3
_POOL_TIMEOUT_S = 5


def make_engine(database_url: str, *, pool_size: int = 5) -> Engine:
    """An engine for the URL; nothing is opened before its first use."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, pool_size)
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        json_serializer=_json,
        pool_pre_ping=True,
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
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
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
    until_s = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    pause_s = _FIRST_LOOK_S
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                return False
        else:
            return True
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_LOOK_S)
