"""Statements that go straight to SQLite's driver: SQLAlchemy's own way to it costs more than a few rows do."""

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


def driven(connection: Connection, statement: str, values: Any) -> Sequence[Any] | None:
    """The first row that a statement in the driver's words gives; None where it gives none.

    Errors are SQLAlchemy's. Another database, and statements that somebody listens to, take its own way.
    """
    if connection.dialect.name != "sqlite" or connection.engine.dispatch.before_cursor_execute:
        outcome = connection.exec_driver_sql(statement, values)
        return outcome.first() if outcome.returns_rows else None
    if not connection.in_transaction():
        connection.begin()
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    try:
        row: Sequence[Any] | None = driver.execute(statement, values).fetchone()
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            statement, values, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
        ) from error
    return row
