"""Insert many rows by the short way: the statement is made once, and rows go to the driver as they are."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Table, insert
from sqlalchemy.types import TypeEngine

from service.store.driven import driven
from service.store.scope import check_tenants
from service.store.tables.moment import Moment
from service.store.tables.row import Row
from service.store.whose import TENANT, is_owned

_Convert = Callable[[Any], Any]
# One moment stands in many columns and rows, and writing it as text takes longer than all the rest.
_MOMENTS_KEPT = 256
# Databases have a limit of places in a statement.
_MOST_ROWS = 64
_NAMED = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The words of an INSERT before and of one row, the columns in the order of its places, what makes a value the
    driver's, by place, and the place of the tenant whose the row is, where it is one's.
    """

    head: str
    row: str
    columns: tuple[str, ...]
    converts: Mapping[int, _Convert]
    owner: int | None

    def statement(self, rows: int) -> str:
        """The INSERT of so many rows."""
        return self.head + ", ".join([self.row] * rows)

    def values(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """What stands in its places, row by row."""
        values = list(chain.from_iterable(map(itemgetter(*self.columns), rows)))
        for place, convert in self.converts.items():
            values[place :: len(self.columns)] = map(convert, values[place :: len(self.columns)])
        return values


_known: dict[tuple[str, str, tuple[str, ...]], _Prepared] = {}


class ManyRows:
    """Rows of a table that all give the same columns, as the driver takes them; one that they leave out gets the
    database's own default.

    Made before a transaction begins they do not prolong it. No objects are made and nothing is read back. Defaults of
    the mapping (Python's) are not filled in.
    """

    __slots__ = ("_prepared", "_values")

    def __init__(self, dialect: Dialect, table: type[Row], rows: Sequence[Mapping[str, Any]]) -> None:
        key = dialect.name, table.__tablename__, tuple(rows[0])
        prepared = _known.get(key)
        if prepared is None:
            prepared = _known[key] = _prepare(dialect, cast("Table", table.__table__), tuple(rows[0]))
        self._prepared = prepared
        self._values = prepared.values(rows)

    def fill(self, name: str, values: Sequence[Any]) -> None:
        """Give a column other values, one for each row."""
        columns = self._prepared.columns
        place = columns.index(name)
        convert = self._prepared.converts.get(place)
        self._values[place :: len(columns)] = values if convert is None else map(convert, values)

    def insert(self, connection: Connection) -> None:
        """Insert them, in one statement: SQLite's driver lets other threads of Python run at each, and PostgreSQL is
        asked once.
        """
        width = len(self._prepared.columns)
        if self._prepared.owner is not None:
            check_tenants(self._values[self._prepared.owner :: width])
        for start in range(0, len(self._values), _MOST_ROWS * width):
            these = self._values[start : start + _MOST_ROWS * width]
            driven(connection, self._prepared.statement(len(these) // width), tuple(these))


def insert_many(connection: Connection, table: type[Row], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all give the same columns."""
    ManyRows(connection.dialect, table, rows).insert(connection)


def _prepare(dialect: Dialect, table: Table, names: tuple[str, ...]) -> _Prepared:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    head, values, row = str(compiled).partition(" VALUES ")
    # Names of places would be one name in each row; they stand in the order of their places.
    places = tuple(compiled.positiontup or ()) if dialect.positional else tuple(_NAMED.findall(row))
    converts = {place: _convert(dialect, table.c[name].type) for place, name in enumerate(places)}
    needed = {place: convert for place, convert in converts.items() if convert is not None}
    # An owned row cannot do without it.
    owner = places.index(TENANT) if is_owned(table) else None
    return _Prepared(head + values, _NAMED.sub("%s", row), places, needed, owner)


def _convert(dialect: Dialect, kind: TypeEngine[Any]) -> _Convert | None:
    return _of_moments(dialect) if isinstance(kind, Moment) else kind.dialect_impl(dialect).bind_processor(dialect)


@functools.cache
def _of_moments(dialect: Dialect) -> _Convert | None:
    """One for all columns of an engine."""
    convert = Moment().dialect_impl(dialect).bind_processor(dialect)
    return None if convert is None else functools.lru_cache(_MOMENTS_KEPT)(convert)
