import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.store.engine import WRITES


def test_sqlite_is_set_up_for_several_processes(engine):
    if engine.dialect.name != "sqlite":
        pytest.skip("about SQLite")
    with engine.connect() as connection:
        found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}
        assert found == {"journal_mode": "wal", "synchronous": 1}
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) == 5000


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
