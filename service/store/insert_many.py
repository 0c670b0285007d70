"""Insert many rows by the short way: the statement is made once, and rows go to the driver as they are."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Table, insert

from service.store.tables.moment import Moment
from service.store.tables.row import Row

_Convert = Callable[[Any], Any]
# One moment stands in many columns and rows, and writing it as text takes longer than all the rest.
_MOMENTS_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An INSERT of one dialect, the columns in the order of its places, and what makes their values the driver's."""

    statement: str
    positional: bool
    columns: tuple[str, ...]
    converts: tuple[tuple[str, _Convert], ...]

    def row(self, values: Mapping[str, Any]) -> Any:
        converted = {**values, **{name: convert(values[name]) for name, convert in self.converts}}
        return tuple([converted[name] for name in self.columns]) if self.positional else converted


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
    converts = []
    for name in names:
        kind = table.c[name].type
        convert = kind.dialect_impl(dialect).bind_processor(dialect)
        if convert is not None:
            converts.append((name, _remembered(convert) if isinstance(kind, Moment) else convert))
    places = tuple(compiled.positiontup or ()) if dialect.positional else names
    return _Prepared(str(compiled), dialect.positional, places, tuple(converts))


def _remembered(convert: _Convert) -> _Convert:
    return functools.lru_cache(_MOMENTS_KEPT)(convert)
