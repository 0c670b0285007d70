"""The log of SQLite's writes is carried over beside its writers, and does not grow for ever."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.store.checkpoints import Checkpoints, checkpoint
from tests.workers.conftest import eventually

PAGE = 4096


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database whose writers carry nothing over."""
    return tmp_path / "some.db"


@pytest.fixture
def writer(database: Path):
    with closing(sqlite3.connect(database, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE pages (content BLOB)")
        yield connection


def write(writer: sqlite3.Connection, pages: int) -> None:
    writer.execute("INSERT INTO pages VALUES (zeroblob(?))", (pages * PAGE,))


def log_pages(database: Path) -> int:
    return database.with_name("some.db-wal").stat().st_size // PAGE


def test_a_short_log_is_left_alone(database, writer):
    write(writer, 100)
    assert not checkpoint(database)
    assert database.stat().st_size < 100 * PAGE


def test_a_longer_one_is_carried_over_and_goes_on(database, writer):
    write(writer, 2000)
    before = log_pages(database)
    assert not checkpoint(database)
    assert database.stat().st_size > 2000 * PAGE
    assert log_pages(database) == before


def test_a_long_one_begins_anew_unless_somebody_reads_it(database, writer):
    write(writer, 9000)
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == (1,)
        write(writer, 1)
        assert not checkpoint(database)
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == (1,)
    assert checkpoint(database)
    assert log_pages(database) == 0
    assert writer.execute("SELECT count(*) FROM pages").fetchone() == (2,)


def test_a_thread_does_it_until_it_is_to_end(database, writer):
    checkpoints = Checkpoints(f"sqlite:///{database}")
    checkpoints.begin()
    write(writer, 9000)
    eventually(lambda: log_pages(database) == 0)
    checkpoints.end()


@pytest.mark.parametrize("url", ["postgresql+psycopg://nowhere/x", "sqlite:////nowhere/x.db"])
def test_where_there_is_no_log_nothing_is_done(url):
    checkpoints = Checkpoints(url)
    checkpoints.begin()
    checkpoints.end()
