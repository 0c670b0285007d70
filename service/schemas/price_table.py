"""A price book as a table: rows of text become the lines that a JSON body would have, for one schema to judge."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from service.errors import FieldError, InvalidRequestError
from service.schemas.issue import nearest
from service.schemas.price_books import MOST_LINES, BookLineSchema, PriceBookRequestSchema, TableLines

COLUMNS = tuple(BookLineSchema().fields)
REQUIRED = tuple(name for name, field in BookLineSchema().fields.items() if field.required)
HEAD = tuple(name for name in PriceBookRequestSchema().fields if name != "lines")
"""What a table has no place for: it stands in the query."""
_WHOLE = frozenset({"lead_time_weeks"})
_FLAGGED = frozenset({"indicative"})
_FLAGS = {"true": True, "false": False}
_DELIMITERS = (",", ";", "\t")
_LONGEST_CELL = 1000


def book_of_table(text: str, head: Mapping[str, str]) -> dict[str, Any]:
    """The body of an upload; InvalidRequestError for what is no table of prices. Its values are for the schema.

    Rows are counted as a spreadsheet does, the head is one; an empty cell is a field that is not given.
    """
    rows = _rows(text.removeprefix("\ufeff"))
    _, head_row = next(rows, (1, []))
    columns = _columns(head_row)
    below = list(rows)
    lines = [_line(columns, row) for _, row in below]
    wrong = {place: _too_long(columns, row) for place, (_, row) in enumerate(below) if len(row) > len(columns)}
    flags = {name: _FLAGS[value] for name, value in head.items() if name in _FLAGGED and value in _FLAGS}
    return {**head, **flags, "lines": TableLines(lines, [number for number, _ in below], wrong)}


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold something with their numbers; comma, semicolon and tab are told apart by the head."""
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for number, row in enumerate(rows, start=1):
            if number > MOST_LINES + 1:
                raise _wrong("lines", f"A table has at most {MOST_LINES} rows below its head.")
            if any(cell.strip() for cell in row):
                yield number, row
    except csv.Error as error:
        raise _wrong("lines", f"This is no table with commas between its cells: {error}.") from error


def _columns(head: list[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in head)
    limit = ", ".join(COLUMNS)
    errors = [
        FieldError(
            field="lines",
            message=f"There is no column {name[:60]!r}; the first row names the columns.",
            limit=limit,
            did_you_mean=nearest(name, COLUMNS),
        )
        for name in columns
        if name not in COLUMNS
    ][:10]
    errors += [
        FieldError(
            field="lines", message=f"The column {name} is missing; the first row names the columns.", limit=limit
        )
        for name in REQUIRED
        if name not in columns
    ]
    if not errors and len(set(columns)) < len(columns):
        errors = [FieldError(field="lines", message="A column stands twice in the first row.", limit=limit)]
    if errors:
        raise InvalidRequestError(f"lines: {errors[0].message}", errors=tuple(errors))
    return columns


def _too_long(columns: tuple[str, ...], row: list[str]) -> str:
    return f"Has {len(row)} cells, and the head names {len(columns)} columns."


def _line(columns: tuple[str, ...], row: list[str]) -> dict[str, Any]:
    given = {name: cell.strip() for name, cell in zip(columns, row, strict=False)}
    return {name: _cell(name, cell) for name, cell in given.items() if cell}


def _cell(name: str, cell: str) -> Any:
    plain = cell.isascii() and cell.isdigit() and len(cell) <= 9
    return int(cell) if name in _WHOLE and plain else cell[:_LONGEST_CELL]


def _wrong(field: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field}: {message}", errors=(FieldError(field=field, message=message),))
