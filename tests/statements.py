"""Statements compiled once a process: else every test, with an engine of its own, would compile all of them again."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_MOST = 5000
_KINDS = (SQLiteDialect_pysqlite, PGDialect_psycopg)
_compiled: dict[Any, LRUCache[Any, Any]] = defaultdict(lambda: LRUCache(_MOST))


def _spoken(dialect: Dialect) -> tuple[Any, ...]:
    """What a statement compiled for a dialect depends on: how it writes SQL, and how it writes JSON."""
    # By its name: each engine that is kept to tenants has a class of its own.
    written = dialect.statement_compiler.__name__
    json = getattr(dialect, "_json_serializer", None), getattr(dialect, "_json_deserializer", None)
    return type(dialect), written, *json


def _is_alike(one: Dialect, other: object) -> bool:
    return type(one) is type(other) and _spoken(one) == _spoken(other)


def _hash(dialect: Dialect) -> int:
    return hash(_spoken(dialect))


def compile_statements_once() -> None:
    """For all engines from now on: those of one kind share what they compiled, as one of many threads does."""
    for kind in _KINDS:
        # SQLAlchemy looks up what it compiled by dialect, in a store of the engine and in one of each mapped class.
        kind.__eq__ = _is_alike
        kind.__hash__ = _hash
    made = Engine.__init__

    def sharing(self: Engine, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        if isinstance(self.dialect, _KINDS):
            self._compiled_cache = _compiled[_spoken(self.dialect)]

    Engine.__init__ = sharing
