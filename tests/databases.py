"""Fixtures that give migrated databases: both kinds are migrated once, and every test gets one as good as new."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from service.store.migrate import upgrade
from service.store.revision import head_revision
from service.store.schema import METADATA


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: str) -> str:
    """A migrated PostgreSQL database."""
    name = f"migrated_{uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
    url = postgresql_server.removesuffix("postgres") + name
    upgrade(url)
    return url


class Cleaner:
    """Empties a database over one connection that stays: a new one would plan every statement again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection | None = None

    def empty(self) -> None:
        """As after its migration. A test may have cut the connection."""
        try:
            self._empty(self._connection or self._connect())
        except psycopg.OperationalError:
            self._empty(self._connect())

    def leave(self) -> None:
        """Nobody may be connected to what is copied."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connect(self) -> psycopg.Connection:
        self._connection = psycopg.connect(self._url, autocommit=True)
        return self._connection

    @staticmethod
    def _empty(connection: psycopg.Connection) -> None:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        # TRUNCATE writes new files for every table and index, which takes a hundred times as long.
        connection.execute("; ".join(f"DELETE FROM {table.name}" for table in reversed(METADATA.sorted_tables)))
        connection.execute("SELECT setval(sequencename::regclass, start_value, false) FROM pg_sequences")
        connection.execute("UPDATE alembic_version SET version_num = %s", (head_revision(),))


@pytest.fixture(scope="session")
def cleaner(migrated_postgresql: str) -> Iterator[Cleaner]:
    found = Cleaner(migrated_postgresql)
    yield found
    found.leave()


@pytest.fixture(scope="module")
def copied_postgresql(postgresql_server: str, migrated_postgresql: str, cleaner: Cleaner) -> str:
    """A migrated database of a module's own, for what it fills once and then only reads."""
    cleaner.leave()
    name = f"copied_{uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        template = migrated_postgresql.rpartition("/")[2]
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    return postgresql_server.replace("postgresql://", "postgresql+psycopg://").removesuffix("postgres") + name


@pytest.fixture
def emptied_postgresql(migrated_postgresql: str, cleaner: Cleaner) -> str:
    """The same, as empty as after its migration; a database for every test would cost a second each."""
    cleaner.empty()
    return migrated_postgresql.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("emptied_postgresql"))
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'migrated.db')}"
