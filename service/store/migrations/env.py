"""Alembic's entry: runs the scripts on the connection that service.store.migrate holds its lock on."""

from typing import Any, Literal

from alembic import context

from service.store.migrations.online import EACH_APART
from service.store.schema import METADATA
from service.store.tables.exact import Exact
from service.store.tables.moment import Moment


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own types as what they are in the database: old scripts must not change with the code."""
    if kind != "type" or not isinstance(item, Exact | Moment):
        return False
    return "sa.Text()" if isinstance(item, Exact) else "sa.DateTime(timezone=True)"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
    render_item=render_item,
    transaction_per_migration=context.config.attributes.get(EACH_APART, False),
)
with context.begin_transaction():
    context.run_migrations()
