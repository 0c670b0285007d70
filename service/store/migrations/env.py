"""Alembic's entry: runs the scripts on the connection that service.store.migrate holds its lock on."""

from typing import Any, Literal

from alembic import context

from service.store.schema import METADATA
from service.store.tables.moment import Moment


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write a Moment as the type it has in the database: old scripts must not change with the code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
    render_item=render_item,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
