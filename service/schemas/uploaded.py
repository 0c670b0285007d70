"""An uploaded batch, cut into items one after another: NDJSON, CSV or a JSON list, never all of it at once."""

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from typing import BinaryIO

import orjson

from service.errors import InvalidRequestError
from service.schemas.columns import check_columns
from service.schemas.json_text import MalformedBodyError

NDJSON = "application/x-ndjson"
CSV = "text/csv"
JSON = "application/json"
_READ_BYTES = 65_536
_START_BYTES = 2
_DELIMITERS = (",", ";", "\t")
_JSON_SPACE = " \t\r\n"
# Text whatever it looks like: a name may be a number.
_TEXTS = ("name", "labels")
_JSON_STARTS = frozenset('{["-0123456789')
_WORDS = {"true": True, "false": False, "null": None}
_LONGEST_COLUMN = 100
_MOST_COLUMNS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """One item: where it stood, and its JSON text; or what is wrong with it before anybody reads it as JSON.

    `line` counts from 1: the line on which an item of NDJSON or CSV begins, the place in a JSON list.
    """

    line: int
    asked: str = ""
    wrong: str | None = None


def uploaded(stream: BinaryIO, media_type: str, *, most_bytes: int) -> Iterator[Uploaded]:
    """The items of an upload, which can be sought, in their order; an item may have `most_bytes`.

    Raises MalformedBodyError where it is no list of items at all, InvalidRequestError for a heading that names nothing.
    """
    _check_encoding(stream.read(_START_BYTES))
    stream.seek(0)
    cut: Mapping[str, Callable[[BinaryIO, int], Iterator[Uploaded]]] = {NDJSON: _lines, CSV: _rows, JSON: _members}
    return cut[media_type](stream, most_bytes)


def _check_encoding(start: bytes) -> None:
    """Half of the bytes of UTF-16 are NUL, and would be told of line by line."""
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\x00" in start:
        raise MalformedBodyError("The upload is in UTF-16; save it as UTF-8 (spreadsheets call that CSV UTF-8).")


def _lines(stream: BinaryIO, most_bytes: int) -> Iterator[Uploaded]:
    number = 0
    while text := stream.readline(most_bytes + 2):
        number += 1
        if len(text) > most_bytes and not text.endswith(b"\n"):
            while (rest := stream.readline(_READ_BYTES)) and not rest.endswith(b"\n"):
                """The rest of a line that is too long to be kept."""
            yield Uploaded(line=number, wrong=_too_long(most_bytes))
            continue
        text = text.strip()
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if text:
            yield _decoded(number, text)


def _decoded(number: int, text: bytes) -> Uploaded:
    try:
        asked = text.decode()
    except UnicodeDecodeError as error:
        return Uploaded(line=number, wrong=f"The line is not UTF-8: byte {error.start} cannot be read.")
    if "\x00" in asked:
        return Uploaded(line=number, wrong="The line contains the character NUL.")
    return Uploaded(line=number, asked=asked)


def _too_long(most_bytes: int) -> str:
    return f"One item may have at most {most_bytes} bytes."


def _rows(stream: BinaryIO, most_bytes: int) -> Iterator[Uploaded]:
    """A row an item; its columns are fields by their path, such as workload.demand.requests_s."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    lines, delimiter = _delimited(text)
    rows = csv.reader(lines, strict=True, delimiter=delimiter)
    paths: list[tuple[str, ...]] = []
    try:
        while True:
            begins = rows.line_num + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            if not any(row):
                continue
            if not paths:
                paths = _paths(row)
                continue
            yield _row(begins, paths, row, most_bytes)
    except csv.Error as error:
        raise MalformedBodyError(f"The body is not CSV: {error} at line {rows.line_num}.") from error
    finally:
        text.detach()


def _delimited(text: Iterable[str]) -> tuple[Iterator[str], str]:
    """The lines, and what parts their cells: comma, semicolon and tab are told apart by the heading."""
    lines, blank = iter(text), 0
    for heading in lines:
        if heading.strip():
            break
        blank += 1
    else:
        return iter(()), _DELIMITERS[0]
    # Rows keep the numbers of their lines; a body of blank ones is not kept.
    return chain(repeat("\n", blank), [heading], lines), max(_DELIMITERS, key=heading.count)


def _paths(heading: list[str]) -> list[tuple[str, ...]]:
    """The fields that the columns stand for; InvalidRequestError for a heading that cannot be one."""
    if len(heading) > _MOST_COLUMNS:
        raise InvalidRequestError(f"The table has {len(heading)} columns; at most {_MOST_COLUMNS} are read.")
    names = [name.strip() for name in heading]
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


def _row(number: int, paths: list[tuple[str, ...]], row: list[str], most_bytes: int) -> Uploaded:
    if len(row) > len(paths):
        return Uploaded(line=number, wrong=f"The row has {len(row)} cells and the heading {len(paths)}.")
    item: dict[str, object] = {}
    for path, cell in zip(paths, row, strict=False):
        if cell != "" and not _put(item, path, _cell(path, cell)):
            return Uploaded(line=number, wrong=f"{'.'.join(path)} lies inside of another column's value.")
    try:
        asked = orjson.dumps(item)
    except (orjson.JSONEncodeError, TypeError):
        return Uploaded(line=number, wrong="The row is not UTF-8.")
    return (
        Uploaded(line=number, asked=asked.decode())
        if len(asked) <= most_bytes
        else Uploaded(line=number, wrong=_too_long(most_bytes))
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


def _members(stream: BinaryIO, most_bytes: int) -> Iterator[Uploaded]:
    """The members of one JSON list, each found by Python's own scanner as soon as all of it is there."""
    text = _Window(stream, most_bytes)
    if text.next_mark() != "[":
        raise MalformedBodyError("Send a JSON list of workloads, or one workload per line as application/x-ndjson.")
    text.skip()
    if text.next_mark() == "]":
        text.skip()
    else:
        number = 0
        while True:
            number += 1
            yield Uploaded(line=number, asked=text.value(number))
            mark = text.next_mark()
            if mark not in {",", "]"}:
                raise MalformedBodyError(f"The body is not JSON: item {number} is followed by neither a comma nor ].")
            text.skip()
            if mark == "]":
                break
    if text.next_mark():
        raise MalformedBodyError("The body is not JSON: something follows the list.")


class _Window:
    """A piece of a JSON text that moves along it."""

    def __init__(self, stream: BinaryIO, most_bytes: int) -> None:
        self._stream = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        self._most = most_bytes
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False

    def next_mark(self) -> str:
        """The next character that is no space; nothing at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _JSON_SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def skip(self) -> None:
        """Go past it."""
        self._at += 1

    def value(self, number: int) -> str:
        """The text of the value that begins here."""
        self.next_mark()
        size = _READ_BYTES
        while True:
            try:
                _, end = self._decoder.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                end, reason = -1, error
            if end >= 0 and (end < len(self._text) or self._ended):
                found, self._at = self._text[self._at : end], end
                if "\x00" in found:
                    raise MalformedBodyError(f"The body is not JSON: item {number} contains the character NUL.")
                return found
            if len(self._text) - self._at > self._most:
                raise InvalidRequestError(f"Item {number} is longer than {self._most} bytes, or no JSON at all.")
            if not self._more(size):
                what = getattr(reason, "msg", "it is nested too deeply") if end < 0 else "it ends in the middle"
                raise MalformedBodyError(f"The body is not JSON: item {number}: {what}.")
            # Each look begins anew, so each one is given twice as much.
            size *= 2

    def _more(self, size: int = _READ_BYTES) -> bool:
        try:
            read = self._stream.read(size)
        except UnicodeDecodeError as error:
            raise MalformedBodyError("The body is not UTF-8.") from error
        self._text, self._at = self._text[self._at :] + read, 0
        self._ended = not read
        return bool(read)
