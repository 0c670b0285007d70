"""The revision that a database is at, and the newest that the code knows.

Told without Alembic, which takes long to load: every process asks, and few of them migrate.
"""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

_SCRIPTS = Path(__file__).parent / "migrations" / "versions"
# Alembic's own.
_AT = table("alembic_version", column("version_num"))


@cache
def head_revision() -> str:
    """The newest revision that the code knows: scripts are named by their numbers."""
    return max(path.name.partition("_")[0] for path in _SCRIPTS.glob("[0-9]*_*.py"))


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at; None when it is empty."""
    if not inspect(connection).has_table(_AT.name):
        return None
    return connection.execute(select(_AT.c.version_num)).scalar_one_or_none()


def is_newer(revision: str | None) -> bool:
    """Whether a database is at a revision that a later release than this one has made: this one runs on it too.

    Revisions are numbered, and a release only adds to what the one before it uses.
    """
    return revision is not None and revision > head_revision()
