"""Bring a database to the newest schema; several processes may start at once, one of them works."""

import sys
from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from service.store.engine import WRITES, make_engine

_LOCK_KEY = 7_236_411_902
_LOCK_WAIT_MS = 60_000


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings: the scripts beside this file, and the connection that holds the lock."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """The newest revision that the code knows."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(database_url: str) -> str:
    """Run the missing migrations under a lock and return the revision reached."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = make_engine(database_url, pool_size=1)
    try:
        return upgrade_engine(engine)
    finally:
        engine.dispose()


def upgrade_engine(engine: Engine) -> str:
    """The same on an engine at hand. One transaction: it either arrives at the head or changes nothing."""
    with engine.connect().execution_options(**WRITES) as connection:
        if engine.dialect.name == "sqlite":
            connection.connection.driver_connection.execute(f"PRAGMA busy_timeout={_LOCK_WAIT_MS}")  # type: ignore[union-attr]
        with connection.begin():
            if engine.dialect.name != "sqlite":
                connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}"))
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            command.upgrade(alembic_config(connection), "head")
            revision = current_revision(connection)
    assert revision is not None
    return revision


@click.command()
@click.option("--database-url", envvar="DATABASE_URL", required=True, help="Where the tables live.")
def main(database_url: str) -> None:
    """Bring the database to the newest schema."""
    try:
        revision = upgrade(database_url)
    except (SQLAlchemyError, OSError) as error:
        click.echo(f"The database could not be migrated: {type(error).__name__}: {error}", err=True)
        sys.exit(1)
    click.echo(f"database is at revision {revision}")


if __name__ == "__main__":
    main()
