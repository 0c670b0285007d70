"""Statements that go straight to the driver do what they do by SQLAlchemy's way, its errors included."""

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from service.store.driven import driven
from service.store.engine import WRITES

MADE = "CREATE TABLE numbers (number INTEGER PRIMARY KEY)"


@pytest.fixture(params=["straight", "listened to"])
def connection(engine, request):
    """A connection of each way: where somebody listens to statements, they go by SQLAlchemy's."""
    heard: list[str] = []
    if request.param == "listened to":
        event.listen(engine, "before_cursor_execute", lambda *call: heard.append(call[2]))
    with engine.connect() as connection:
        yield connection.execution_options(**WRITES)
    assert (MADE in heard) is (request.param == "listened to")


def test_rows_are_written_in_the_transaction_and_the_first_is_read(connection):
    driven(connection, MADE, ())
    assert driven(connection, "INSERT INTO numbers VALUES (7), (8)", ()) is None
    assert connection.in_transaction()
    assert tuple(driven(connection, "SELECT number FROM numbers ORDER BY number", ())) == (7,)
    assert driven(connection, "SELECT number FROM numbers WHERE number > 9", ()) is None
    connection.rollback()
    with pytest.raises((OperationalError, ProgrammingError)):
        driven(connection, "SELECT number FROM numbers", ())
    connection.rollback()


def test_errors_are_those_of_the_library(connection):
    driven(connection, MADE, ())
    driven(connection, "INSERT INTO numbers VALUES (7)", ())
    with pytest.raises(IntegrityError):
        driven(connection, "INSERT INTO numbers VALUES (7)", ())
    connection.rollback()
