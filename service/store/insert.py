"""Insert unless it is there: unique constraints decide races on SQLite and PostgreSQL alike."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.tables.row import Row


def insert_if_absent(session: Session, table: type[Row], **values: Any) -> bool:
    """Insert one row; False when a unique constraint says that an equal one exists."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(*table.__table__.primary_key)
    return session.execute(statement).first() is not None
