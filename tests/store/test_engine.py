import sqlite3
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.store.engine import WRITES, engine_for_reading, make_engine


def test_sqlite_is_set_up_for_several_processes(engine):
    if engine.dialect.name != "sqlite":
        pytest.skip("about SQLite")
    with engine.connect() as connection:
        found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}
        assert found == {"journal_mode": "wal", "synchronous": 1}
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) == 5000


def test_a_new_database_that_another_process_sets_up_is_waited_for(tmp_path):
    """Its journal is the one that SQLite begins with, and to change it takes a lock that SQLite never waits for."""
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, other.close).start()
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    engine.dispose()


def test_a_writer_takes_the_lock_at_begin_so_that_reading_first_cannot_fail_later(engine):
    """Two sessions read and then write: with plain BEGIN on SQLite the second would fail without waiting."""
    failures: list[Exception] = []

    def add(name: str) -> None:
        try:
            with Session(engine, execution_options=WRITES) as session, session.begin():
                count = session.scalar(text("SELECT count(*) FROM tenants"))
                time.sleep(0.05)
                session.execute(
                    text("INSERT INTO tenants (id, name, created_at) VALUES (:n, :n, '2026-11-20 12:00:00.000000')"),
                    {"n": f"{name}-{count}"},
                )
        except OperationalError as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(f"t{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM tenants")) == 6


def test_a_statement_of_postgresql_cannot_run_for_ever(engine):
    if engine.dialect.name != "postgresql":
        pytest.skip("about PostgreSQL")
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "5s"
        assert connection.scalar(text("SHOW lock_timeout")) == "3s"
        assert connection.scalar(text("SHOW timezone")) == "UTC"


def test_who_only_reads_on_postgresql_begins_and_ends_no_transaction(engine):
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite's readers see one state in all that they read")
    with Session(engine_for_reading(engine)) as session:
        session.scalar(text("SELECT 1"))
        assert session.connection().connection.driver_connection.info.transaction_status.name == "IDLE"
    # The same connection, lent to somebody who writes.
    with Session(engine) as session:
        session.scalar(text("SELECT 1"))
        assert session.connection().connection.driver_connection.info.transaction_status.name == "INTRANS"


def test_a_connection_that_died_while_it_lay_there_is_replaced(engine, monkeypatch):
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite's connections do not die")
    with engine.connect() as one, engine.connect() as other:
        dead = [connection.scalar(text("SELECT pg_backend_pid()")) for connection in (one, other)]
    with engine.connect() as living:
        pid = living.scalar(text("SELECT pg_backend_pid()"))
        dead = [each for each in dead if each != pid]
        assert [living.scalar(text("SELECT pg_terminate_backend(:pid)"), {"pid": each}) for each in dead] == [True]
    monkeypatch.setattr("service.store.engine._TRUSTED_S", 0.0)
    with engine.connect() as one, engine.connect() as other:
        found = {connection.scalar(text("SELECT pg_backend_pid()")) for connection in (one, other)}
    assert not found & set(dead)


def test_a_writer_that_cannot_begin_says_so_as_every_error_of_the_database(tmp_path):
    path = tmp_path / "headroom.db"
    make_engine(f"sqlite:///{path}").connect().close()
    engine = make_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(OperationalError, match="readonly"), Session(engine, execution_options=WRITES) as session:
        session.execute(text("CREATE TABLE t (x)"))
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA busy_timeout")) == 5000
    engine.dispose()


def test_a_writer_waits_for_the_one_before_it(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path / 'headroom.db'}")
    before, begun = sqlite3.connect(tmp_path / "headroom.db", isolation_level=None, check_same_thread=False), []
    with engine.connect().execution_options(**WRITES) as connection:
        before.execute("CREATE TABLE t (x)")
        before.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.3, lambda: (begun.append("before ended"), before.execute("COMMIT")))
        ending.start()
        connection.execute(text("INSERT INTO t VALUES (1)"))
        assert begun == ["before ended"]
        connection.commit()
        ending.join()
    before.close()
    engine.dispose()
