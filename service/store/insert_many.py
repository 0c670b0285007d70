"""Insert many rows by the short way: the statement is made once, and rows go to the driver as they are."""

import functools
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


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An INSERT of one dialect, and the columns in the order of its places, with what makes values the driver's."""

    statement: str
    positional: bool
    columns: tuple[tuple[str, _Convert], ...]

    def row(self, values: Mapping[str, Any]) -> Any:
        if self.positional:
            return tuple([values[name] if convert is None else convert(values[name]) for name, convert in self.columns])
        return {name: values[name] if convert is None else convert(values[name]) for name, convert in self.columns}


_known: dict[tuple[str, str, tuple[str, ...]], _Prepared] = {}


def insert_many(connection: Connection, table: type[Row], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all give the same columns; a column that they leave out gets the database's own default.

    No objects are made and nothing is read back. Defaults of the mapping (Python's) are not filled in.
    """
    key = connection.dialect.name, table.__tablename__, tuple(rows[0])
    prepared = _known.get(key)
    if prepared is None:
        prepared = _known[key] = _prepare(connection.dialect, cast("Table", table.__table__), tuple(rows[0]))
    connection.exec_driver_sql(prepared.statement, [prepared.row(row) for row in rows])


def _prepare(dialect: Dialect, table: Table, names: tuple[str, ...]) -> _Prepared:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    places = tuple(compiled.positiontup or ()) if dialect.positional else names
    columns = tuple((name, _convert(dialect, table.c[name].type)) for name in places)
    return _Prepared(str(compiled), dialect.positional, columns)


def _convert(dialect: Dialect, kind: TypeEngine[Any]) -> _Convert:
    return _of_moments(dialect) if isinstance(kind, Moment) else kind.dialect_impl(dialect).bind_processor(dialect)


@functools.cache
def _of_moments(dialect: Dialect) -> _Convert:
    """One for all columns of an engine."""
    convert = Moment().dialect_impl(dialect).bind_processor(dialect)
    return None if convert is None else functools.lru_cache(_MOMENTS_KEPT)(convert)
