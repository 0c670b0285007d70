"""Indexes of tables that are large by the time they get one: PostgreSQL builds them while others write."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

EACH_APART = "each_apart"
"""Of Alembic's configuration: each script commits by itself, so that one of them may leave its transaction."""


def create_index(name: str, table: str, columns: Sequence[str], *, where: sa.TextClause) -> None:
    """A partial index. To be called before anything else in a script: what is done until then is committed."""
    with _without_a_lock() as concurrently:
        if concurrently:
            if _is_whole(name):
                # The rest of the script gave way to somebody: large tables are not read again for that.
                return
            # One that was broken off lies there and serves nothing.
            op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(
            name,
            table,
            list(columns),
            sqlite_where=where,
            postgresql_where=where,
            postgresql_concurrently=concurrently,
        )


def drop_index(name: str, table: str) -> None:
    """The way back; to be called first as well."""
    with _without_a_lock() as concurrently:
        op.drop_index(name, table_name=table, if_exists=concurrently, postgresql_concurrently=concurrently)


def _is_whole(index: str) -> bool:
    whole = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:index)")
    return bool(op.get_bind().scalar(whole, {"index": index}))


@contextmanager
def _without_a_lock() -> Iterator[bool]:
    """Outside of any transaction where the database and whoever migrates it allow that, and whether they do."""
    context = op.get_context()
    config = context.config
    if config is None or not config.attributes.get(EACH_APART):
        yield False
        return
    with context.autocommit_block():
        # It waits for every transaction that is older, and holds up nobody meanwhile.
        patience = op.get_bind().scalar(sa.text("SHOW lock_timeout"))
        op.execute("SET lock_timeout = 0")
        yield True
        op.execute(f"SET lock_timeout = '{patience}'")
