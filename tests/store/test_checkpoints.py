"""The log of SQLite's writes is carried over beside its writers, and does not grow for ever."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from service.store import checkpoints
from service.store.checkpoints import _LONGEST_WAIT_S, Checkpoints, checkpoint
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
    checkpoint(database, before=checkpoint(database, before=None))
    assert database.stat().st_size < 100 * PAGE


def test_a_longer_one_is_carried_over_and_goes_on(database, writer):
    write(writer, 2000)
    before = log_pages(database)
    checkpoint(database, before=None)
    assert database.stat().st_size > 2000 * PAGE
    assert log_pages(database) == before


def test_a_long_one_begins_anew_in_the_room_that_it_has_unless_somebody_reads_it(database, writer, monkeypatch):
    monkeypatch.setattr(checkpoints, "_ANEW_PAGES", 3000)
    write(writer, 4000)
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == (1,)
        write(writer, 100)
        before = log_pages(database)
        checkpoint(database, before=None)
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == (1,)
        write(writer, 100)
        assert log_pages(database) > before
    before = log_pages(database)
    checkpoint(database, before=None)
    write(writer, 2000)
    assert log_pages(database) == before
    assert writer.execute("SELECT count(*) FROM pages").fetchone() == (4,)


def test_one_that_nobody_writes_to_any_more_gives_its_room_back(database, writer):
    write(writer, 2000)
    found = checkpoint(database, before=None)
    assert log_pages(database) > 2000
    write(writer, 1)
    found = checkpoint(database, before=found)
    assert log_pages(database) > 2000
    checkpoint(database, before=found)
    assert log_pages(database) == 0
    assert writer.execute("SELECT count(*) FROM pages").fetchone() == (2,)


def test_it_keeps_its_room_while_somebody_reads_it_and_holds_nobody_up(database, writer):
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == (0,)
        write(writer, 2000)
        found = checkpoint(database, before=None)
        begun_s = time.monotonic()
        checkpoint(database, before=found)
        assert time.monotonic() - begun_s < _LONGEST_WAIT_S
        assert log_pages(database) > 2000
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == (0,)


def test_a_thread_does_it_until_it_is_to_end(database, writer):
    house = Checkpoints(f"sqlite:///{database}")
    house.begin()
    write(writer, 9000)
    eventually(lambda: log_pages(database) == 0)
    house.end()


@pytest.mark.parametrize("url", ["postgresql+psycopg://nowhere/x", "sqlite:////nowhere/x.db"])
def test_where_there_is_no_log_nothing_is_done(url):
    house = Checkpoints(url)
    house.begin()
    house.end()
