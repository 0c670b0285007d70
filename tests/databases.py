"""Fixtures that give migrated databases: both kinds are migrated once, and every test gets one as good as new."""

import shutil
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from service.store.migrate import head_revision, upgrade
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


@pytest.fixture(scope="module")
def copied_postgresql(postgresql_server: str, migrated_postgresql: str) -> str:
    """A migrated database of a module's own, for what it fills once and then only reads."""
    name = f"copied_{uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        template = migrated_postgresql.rpartition("/")[2]
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    return postgresql_server.replace("postgresql://", "postgresql+psycopg://").removesuffix("postgres") + name


@pytest.fixture
def emptied_postgresql(migrated_postgresql: str) -> str:
    """The same, as empty as after its migration; a database for every test would cost a second each."""
    with psycopg.connect(migrated_postgresql, autocommit=True) as connection:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        # TRUNCATE writes new files for every table and index, which takes a hundred times as long.
        connection.execute("; ".join(f"DELETE FROM {table.name}" for table in reversed(METADATA.sorted_tables)))
        connection.execute("SELECT setval(sequencename::regclass, start_value, false) FROM pg_sequences")
        connection.execute("UPDATE alembic_version SET version_num = %s", (head_revision(),))
    return migrated_postgresql.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("emptied_postgresql"))
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'migrated.db')}"
