"""Insert many rows by the short way: the statement is made once, and rows go to the driver as they are."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Table, insert
from sqlalchemy.types import TypeEngine

from service.store.tables.moment import Moment
from service.store.tables.row import Row

_Convert = Callable[[Any], Any] | None
# One moment stands in many columns and rows, and writing it as text takes longer than all the rest.
_MOMENTS_KEPT = 256
# Databases have a limit of places in a statement.
_MOST_ROWS = 64
_NAMED = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The words of an INSERT before and of one row, and the columns in the order of its places.

    Each with what makes a value the driver's.
    """

    head: str
    row: str
    columns: tuple[tuple[str, _Convert], ...]

    def statement(self, rows: int) -> str:
        """The INSERT of so many rows."""
        return self.head + ", ".join([self.row] * rows)

    def values(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
        """What stands in its places."""
        return tuple(
            [row[name] if convert is None else convert(row[name]) for row in rows for name, convert in self.columns]
        )


_known: dict[tuple[str, str, tuple[str, ...]], _Prepared] = {}


def insert_many(connection: Connection, table: type[Row], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all give the same columns; a column that they leave out gets the database's own default.

    No objects are made and nothing is read back. Defaults of the mapping (Python's) are not filled in. It is one
    statement: SQLite's driver lets other threads of Python run at each, and PostgreSQL is asked once.
    """
    key = connection.dialect.name, table.__tablename__, tuple(rows[0])
    prepared = _known.get(key)
    if prepared is None:
        prepared = _known[key] = _prepare(connection.dialect, cast("Table", table.__table__), tuple(rows[0]))
    for start in range(0, len(rows), _MOST_ROWS):
        these = rows[start : start + _MOST_ROWS]
        connection.exec_driver_sql(prepared.statement(len(these)), prepared.values(these))


def _prepare(dialect: Dialect, table: Table, names: tuple[str, ...]) -> _Prepared:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    head, values, row = str(compiled).partition(" VALUES ")
    # Names of places would be one name in each row; they stand in the order of their places.
    places = tuple(compiled.positiontup or ()) if dialect.positional else tuple(_NAMED.findall(row))
    columns = tuple((name, _convert(dialect, table.c[name].type)) for name in places)
    return _Prepared(head + values, _NAMED.sub("%s", row), columns)


def _convert(dialect: Dialect, kind: TypeEngine[Any]) -> _Convert:
    return _of_moments(dialect) if isinstance(kind, Moment) else kind.dialect_impl(dialect).bind_processor(dialect)


@functools.cache
def _of_moments(dialect: Dialect) -> _Convert:
    """One for all columns of an engine."""
    convert = Moment().dialect_impl(dialect).bind_processor(dialect)
    return None if convert is None else functools.lru_cache(_MOMENTS_KEPT)(convert)
