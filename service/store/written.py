"""What a statement has changed, by its count of rows: whoever's condition found its row has won the race for it."""

from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update
from sqlalchemy.orm import Session


def rows_written(session: Session, statement: Update | Delete) -> int:
    """So many rows were changed; what the session has read of them before stays as it was."""
    done = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", done).rowcount
