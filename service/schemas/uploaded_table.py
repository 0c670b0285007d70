"""Workloads in CSV: a row is one; columns are fields by their path, such as workload.demand.requests_s."""

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

import orjson

from service.errors import InvalidRequestError
from service.schemas.columns import check_columns
from service.schemas.json_text import MalformedBodyError
from service.schemas.table_lines import LongRowError, TableLines
from service.schemas.uploaded_item import Uploaded, too_long

_DELIMITERS = (",", ";", "\t")
# Text whatever it looks like: a name may be a number.
_TEXTS = ("name", "labels")
_JSON_STARTS = frozenset('{["-0123456789')
_WORDS = {"true": True, "false": False, "null": None}
_LONGEST_COLUMN = 100
_MOST_COLUMNS = 200
# Each of them in quotes that stand twice.
_LONGEST_HEADING = _MOST_COLUMNS * (2 * _LONGEST_COLUMN + 3)
# A character for each byte: what parts rows and cells is ASCII, and no byte of any other character in UTF-8.
_BYTES = "latin-1"

_Path = tuple[str, ...]


class TableRow(NamedTuple):
    """A row that is not blank: the line on which it begins, the fields of the heading, and its cells; or what is wrong
    with it, where it is too long to be kept.
    """

    line: int
    paths: list[_Path]
    cells: list[str] | str


def table_rows(stream: BinaryIO, most_bytes: int, *, most_blank: int) -> Iterator[TableRow]:
    """The rows under the heading. A row has at most as many bytes as an item, over all its lines."""
    if stream.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=_BYTES, newline="")
    lines = TableLines(text, _LONGEST_HEADING)
    try:
        yield from _rows(lines, most_bytes, most_blank)
    except csv.Error as error:
        raise MalformedBodyError(f"The body is not CSV: {error} at line {lines.read}.") from error
    except LongRowError as error:
        raise InvalidRequestError(f"The heading has more than {lines.most} bytes.") from error
    finally:
        text.detach()


def _rows(lines: TableLines, most_bytes: int, most_blank: int) -> Iterator[TableRow]:
    blank, heading = _heading(lines, most_blank=most_blank)
    lines.delimiter = max(_DELIMITERS, key=heading.count)
    rows = csv.reader(chain([heading], lines), strict=True, delimiter=lines.delimiter)
    paths: list[_Path] = []
    begins = blank + 1
    while True:
        try:
            row: list[str] | str | None = next(rows, None)
        except (csv.Error, LongRowError) as error:
            if not paths or not lines.is_long:
                raise
            row = _wrong(error, most_bytes)
            lines.pass_over()
        if row is None:
            break
        lines.begin_row(most_bytes, after=0 if isinstance(row, str) else len(row))
        if not any(row):
            blank += 1
            _check_blank(blank, most_blank)
        elif paths or isinstance(row, str):
            yield TableRow(begins, paths, row)
        else:
            paths = _paths(row)
        begins = lines.read + 1


def _wrong(error: Exception, most_bytes: int) -> str:
    if isinstance(error, LongRowError):
        return too_long(most_bytes)
    return f"The row is not CSV, or one of its cells has more than {csv.field_size_limit()} bytes."


def _heading(lines: TableLines, *, most_blank: int) -> tuple[int, str]:
    """How many blank lines stand before the first line of the heading, and that line; comma, semicolon and tab are told
    apart by it.
    """
    for blank, line in enumerate(lines):
        _check_blank(blank, most_blank)
        if line.strip():
            return blank, line
        lines.begin_row(_LONGEST_HEADING)
    return 0, ""


def _check_blank(blank: int, most: int) -> None:
    if blank > most:
        raise InvalidRequestError(f"The upload has more than {most} blank lines.")


def _paths(heading: list[str]) -> list[_Path]:
    """The fields that the columns stand for; InvalidRequestError for a heading that cannot be one."""
    if len(heading) > _MOST_COLUMNS:
        raise InvalidRequestError(f"The table has {len(heading)} columns; at most {_MOST_COLUMNS} are read.")
    names = [name.encode(_BYTES).decode(errors="replace").strip() for name in heading]
    for name in names:
        good = name.isascii() and name.isprintable() and all(name.split(".")) and len(name) <= _LONGEST_COLUMN
        if not good:
            raise InvalidRequestError(
                f"The column {name[:_LONGEST_COLUMN]!r} names no field; the first row names them by their path, "
                "such as name, labels.team, workload.kind, workload.demand.requests_s."
            )
    check_columns(names)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InvalidRequestError(f"The column {min(twice)!r} stands twice.")
    return [tuple(name.split(".", 1)) if name.startswith("labels.") else tuple(name.split(".")) for name in names]


def row_item(found: TableRow, most_bytes: int) -> Uploaded:
    """What a row asks for."""
    number, paths, row = found
    if isinstance(row, str):
        return Uploaded(line=number, wrong=row)
    if len(row) > len(paths):
        return Uploaded(line=number, wrong=f"The row has {len(row)} cells and the heading {len(paths)}.")
    try:
        cells = [cell if cell.isascii() else cell.encode(_BYTES).decode() for cell in row]
    except UnicodeDecodeError:
        return Uploaded(line=number, wrong="The row is not UTF-8.")
    item: dict[str, object] = {}
    for path, cell in zip(paths, cells, strict=False):
        if cell != "" and not _put(item, path, _cell(path, cell)):
            return Uploaded(line=number, wrong=f"{'.'.join(path)} lies inside of another column's value.")
    try:
        asked = orjson.dumps(item)
    except orjson.JSONEncodeError:
        return Uploaded(line=number, wrong="A cell of the row is nested too deeply.")
    return (
        Uploaded(line=number, asked=asked.decode())
        if len(asked) <= most_bytes
        else Uploaded(line=number, wrong=too_long(most_bytes))
    )


def _put(item: dict[str, object], path: tuple[str, ...], value: object) -> bool:
    for name in path[:-1]:
        inner = item.setdefault(name, {})
        if not isinstance(inner, dict):
            return False
        item = inner
    return item.setdefault(path[-1], value) is value


def _cell(path: tuple[str, ...], cell: str) -> object:
    """What reads as JSON is that, everything else is text; so are names, labels and money, whatever they look like."""
    if path[0] in _TEXTS or path[-1].endswith("_usd"):
        return cell
    if cell in _WORDS:
        return _WORDS[cell]
    if cell[0] in _JSON_STARTS:
        try:
            return orjson.loads(cell)
        except orjson.JSONDecodeError:
            return cell
    return cell
