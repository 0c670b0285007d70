"""Insert unless it is there: unique constraints decide races on SQLite and PostgreSQL alike."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.tables.row import Row


def insert_if_absent(session: Session, table: type[Row], **values: Any) -> bool:
    """Insert one row; False when a unique constraint says that an equal one exists."""
    insert = insert_into(table, session.get_bind().dialect.name).values(**values)
    statement = insert.on_conflict_do_nothing().returning(*table.__table__.primary_key)
    return session.execute(statement).first() is not None


def insert_into(table: type[Row] | Table, dialect: str) -> postgresql.Insert | sqlite.Insert:
    """INSERT with ON CONFLICT, which both dialects spell alike and SQLAlchemy has once for each."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
