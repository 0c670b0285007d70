"""Bring a database to the newest schema; several processes may start at once, one of them works."""

import itertools
import logging
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import click
import structlog
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from service.logs.line import without_secrets
from service.logs.process import own_logs
from service.store.engine import WRITES, make_engine
from service.store.migrations.online import EACH_APART
from service.store.revision import current_revision, is_newer

log = structlog.get_logger(__name__)

_LOCK_KEY = 7_236_411_902
_LOCK_WAIT_S = 60
_LOOK_EVERY_S = 0.1
# Whoever waits for a table makes all wait who come later: a migration gives way, and tries again.
_TABLE_WAIT_MS = 500
_PAUSE_S = 1.0
# A minute of waits and pauses; counted, because an index of a large table takes as long as it takes.
_TRIES = 40
# A release that waits for the lock within a statement holds up indexes that are built, and these hold the lock.
_IN_THE_WAY = (LockNotAvailable, DeadlockDetected)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings: the scripts beside this file, and the connection that holds the lock."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(database_url: str, *, to: str | None = None) -> str:
    """Run the missing migrations under a lock and return the revision reached; `to` goes to one, forward or back.

    On SQLite they arrive together or change nothing. On PostgreSQL each one does, because indexes of large tables are
    built outside of a transaction: whoever was interrupted calls this again. Somebody who reads a table for long, as a
    backup does, is waited for without holding up anybody else. Without `to` a database that a later release has
    migrated stays as it is.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = make_engine(database_url, pool_size=1)
    try:
        for tried in itertools.count(1):
            try:
                return _upgraded(engine, to)
            except OperationalError as error:
                if not isinstance(error.orig, _IN_THE_WAY) or tried == _TRIES:
                    raise
                log.info("migration_gives_way", pause_s=_PAUSE_S)
            time.sleep(_PAUSE_S)
        raise AssertionError
    finally:
        engine.dispose()


def _upgraded(engine: Engine, to: str | None) -> str:
    held = _together if engine.dialect.name == "sqlite" else _apart
    with engine.connect().execution_options(**WRITES) as connection, held(connection):
        _go(connection, to)
        revision = current_revision(connection)
    assert revision is not None
    return revision


@contextmanager
def _together(connection: Connection) -> Iterator[None]:
    """One transaction, whose lock is the one that writers have."""
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    driver.execute(f"PRAGMA busy_timeout={_LOCK_WAIT_S * 1000}")
    with connection.begin():
        yield


@contextmanager
def _apart(connection: Connection) -> Iterator[None]:
    """A lock of the session, asked for again and again: who waits in a statement holds up indexes that are built."""
    until_s = time.monotonic() + _LOCK_WAIT_S
    with connection.begin():
        connection.execute(text(f"SET lock_timeout = {_TABLE_WAIT_MS}"))
        connection.execute(text("SET statement_timeout = 0"))
    while not _locked(connection):
        if time.monotonic() > until_s:
            raise TimeoutError(f"Another process has been migrating the database for {_LOCK_WAIT_S} s.")
        time.sleep(_LOOK_EVERY_S)
    try:
        yield
    finally:
        # With it goes the lock.
        connection.invalidate()


def _locked(connection: Connection) -> bool:
    with connection.begin():
        return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}))


def _go(connection: Connection, to: str | None) -> None:
    found = current_revision(connection)
    config = alembic_config(connection)
    if connection.dialect.name != "sqlite":
        # Whoever looked began a transaction, and each script has one of its own.
        connection.rollback()
        config.attributes[EACH_APART] = True
    if to is not None and found is not None and to < found:
        command.downgrade(config, to)
    elif to is not None or not is_newer(found):
        command.upgrade(config, to or "head")


@click.command()
@click.option("--database-url", envvar="DATABASE_URL", required=True, help="Where the tables live.")
@click.option("--to", metavar="REVISION", help="Go to this revision instead, forward or back, such as 0008.")
def main(database_url: str, to: str | None) -> None:
    """Bring the database to the newest schema."""
    own_logs("INFO", role="migrate")
    # Tests migrate too; only here its words are news.
    logging.getLogger("alembic").setLevel(logging.INFO)
    try:
        revision = upgrade(database_url, to=to)
    except (SQLAlchemyError, OSError, CommandError) as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        log.critical("database_not_migrated", error=type(error).__name__, reason=without_secrets(reason))
        sys.exit(1)
    log.info("database_migrated", revision=revision)


if __name__ == "__main__":
    main()
