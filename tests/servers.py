"""Fixtures that give real servers: Redis-compatible ones in both roles, and PostgreSQL with a database per test."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
import redis

from scripts.children import stop
from scripts.embedded import EmbeddedServer, ServerRole, start_server
from scripts.postgresql import temporary_server


def _server(role: ServerRole, factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    folder = factory.mktemp(role)
    server = EmbeddedServer(role=role, folder=folder)
    process = start_server(server, log=folder / "log")
    yield server
    stop(process, within_s=5)


def _flush(server: EmbeddedServer) -> str:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return server.url


@pytest.fixture(scope="session")
def broker_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    yield from _server(ServerRole.BROKER, tmp_path_factory)


@pytest.fixture(scope="session")
def cache_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    yield from _server(ServerRole.CACHE, tmp_path_factory)


@pytest.fixture
def broker_url(broker_server: EmbeddedServer) -> str:
    """A broker with nothing in it."""
    return _flush(broker_server)


@pytest.fixture
def cache_url(cache_server: EmbeddedServer) -> str:
    """A cache with nothing in it."""
    return _flush(cache_server)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with temporary_server() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A new, empty database, dropped afterwards; spelled for SQLAlchemy."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
    yield postgresql_server.replace("postgresql://", "postgresql+psycopg://").removesuffix("postgres") + name
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
