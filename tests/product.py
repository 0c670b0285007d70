"""Fixtures that give the product in this process: runtime on SQLite with a list for a queue, a session, a client."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from config.environment import ROOT
from service.app import create_app
from service.runtime import Facts, Runtime, build_runtime
from service.settings import Settings
from tests.facts import own_facts
from tests.fakes import ListQueue


@pytest.fixture(scope="session")
def facts() -> Facts:
    """The real catalog and prices."""
    return own_facts()


@pytest.fixture
def queue() -> ListQueue:
    return ListQueue()


@pytest.fixture
def runtime(settings: Settings, facts: Facts, migrated_sqlite: Path, queue: ListQueue) -> Iterator[Runtime]:
    shutil.copyfile(migrated_sqlite, settings.database_url.removeprefix("sqlite:///"))
    runtime = build_runtime(settings, facts=facts, queue=queue)
    yield runtime
    runtime.sessions.kw["bind"].dispose()


@pytest.fixture
def session(runtime: Runtime) -> Iterator[Session]:
    with runtime.sessions() as session:
        yield session


def detached_app(facts: Facts, database: Path) -> Flask:
    """An application whose runtime reaches nothing: tests attach their own to it."""
    nowhere = "redis://127.0.0.1:1/0"
    settings = Settings(
        database_url=f"sqlite:///{database}",
        broker_url=nowhere,
        cache_url=nowhere,
        config_dir=ROOT / "config",
        data_dir=database.parent,
        log_level="WARNING",
    )
    return create_app(build_runtime(settings, facts=facts, queue=ListQueue()))


@pytest.fixture(scope="session")
def shared_app(facts: Facts, migrated_sqlite: Path) -> Flask:
    """Describing every route takes a while, so it is done once in a process."""
    return detached_app(facts, migrated_sqlite)


@pytest.fixture
def client(runtime: Runtime) -> FlaskClient:
    """Sends requests without a key; tests add their own."""
    return create_app(runtime).test_client()
