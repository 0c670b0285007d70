"""The lines of a table, so many characters a row; of a row that has more of them only the end is looked for."""

import csv
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import TextIO

from service.errors import InvalidRequestError
from service.schemas.json_text import MalformedBodyError

_QUOTE = '"'
_ENDS = ("\n", "\r")
_READ_CHARACTERS = 65_536
# Lines that a row goes on with, and quotes of rows that are too long: each is looked at by itself.
_MOST_SEEN = 1_000_000
# A hundred thousand rows of all columns that a table may have are twenty.
_MOST_CELLS = 30_000_000


class LongRowError(Exception):
    """A row has more characters than it may."""


class TableLines:
    """The lines, told row by row by whoever parts them."""

    def __init__(self, text: TextIO, most: int) -> None:
        self.read = self._seen = self._cells = 0
        self.delimiter = ","
        self._text = text
        self._ended, self._cut = True, False
        self.begin_row(most)

    def begin_row(self, most: int) -> None:
        """What is read from now on is of another row."""
        self.most = self._left = most
        self._begins, self._line = self.read + 1, ""
        self._end = _RowEnd(self.delimiter)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._line:
            self._end.is_in(self._line)
            self._line = ""
            self._see(1)
        line = self._piece(self._left + 1)
        if not line:
            raise StopIteration
        self._left -= len(line)
        self._line = line
        if self._left < 0:
            raise LongRowError
        return line

    @property
    def is_long(self) -> bool:
        """Whether the row has more characters than it, or one cell, may have."""
        return self._left < 0 or self.most - self._left > csv.field_size_limit()

    def pass_over(self) -> None:
        """Read on to the end of the row."""
        for piece in filter(None, chain([self._line], iter(partial(self._piece, _READ_CHARACTERS), ""))):
            self._see(1 + piece.count(_QUOTE))
            if self._end.is_in(piece):
                return
        if self._end.inside:
            raise MalformedBodyError(f"The body is not CSV: a quote in the row of line {self._begins} is never closed.")

    def _see(self, count: int) -> None:
        self._seen += count
        if self._seen > _MOST_SEEN:
            raise InvalidRequestError(f"The rows of the upload go on over more than {_MOST_SEEN} lines and quotes.")

    def _piece(self, most: int) -> str:
        piece = self._text.readline(most)
        if self._cut and piece == "\n":
            # Of a line that was told already.
            piece = self._text.readline(most)
        if piece:
            self.read += self._ended
            self._ended = piece.endswith(_ENDS)
            self._cut = len(piece) == most and piece.endswith("\r")
            self._cells += piece.count(self.delimiter)
            if self._cells > _MOST_CELLS:
                raise InvalidRequestError(f"The upload has more than {_MOST_CELLS} cells.")
        return piece


class _RowEnd:
    """Where a row ends: at the first end of a line that is not in quotes, which open where a cell begins."""

    def __init__(self, delimiter: str) -> None:
        self.inside = False
        self._delimiter = self._before = delimiter
        # Where quotes were closed last, seen from the piece; again right after it, they are one in the text.
        self._closed_at = -2

    def is_in(self, piece: str) -> bool:
        """Whether the row ends with this piece of it."""
        at = piece.find(_QUOTE)
        while at >= 0:
            if self.inside:
                self.inside, self._closed_at = False, at
            else:
                before = piece[at - 1] if at else self._before
                self.inside = before == self._delimiter or self._closed_at == at - 1
            at = piece.find(_QUOTE, at + 1)
        self._before = piece[-1]
        self._closed_at -= len(piece)
        return not self.inside and piece.endswith(_ENDS)
