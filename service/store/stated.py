"""Conditions on a state that a statement spells out: a partial index serves only what states its condition.

A place for a value could stand for any state, so that SQLite would look through all rows for the few open ones.
Nor does it conclude a wider condition from a narrower one: who asks for one of several states names both.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import Text, literal_column
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement


def stated(column: InstrumentedAttribute[str], state: StrEnum) -> ColumnElement[bool]:
    """The column holds this state."""
    return column == _spelled(state)


def stated_in(column: InstrumentedAttribute[str], states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """The column holds one of these states."""
    return column.in_([_spelled(state) for state in states])


def _spelled(state: StrEnum) -> ColumnElement[Any]:
    if not state.value.isidentifier():
        raise ValueError(f"{state.value!r} is not the word of a state")
    return literal_column(f"'{state.value}'", Text)
