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
# A hundred thousand rows of all columns that a table may have are twenty million.
_MOST_CELLS = 24_000_000
# What takes longer than a cell does counts as so many of them: a line that a row goes on with, and a quote of a row
# that is too long, which is looked at by itself.
_CELLS_LINE, _CELLS_QUOTE = 100, 10


class LongRowError(Exception):
    """A row has more characters than it may."""


class TableLines:
    """The lines, told row by row by whoever parts them."""

    def __init__(self, text: TextIO, most: int) -> None:
        self.read = self._counted = 0
        self.delimiter = ","
        self._text = text
        self._ended, self._cut = True, False
        self._end = _RowEnd()
        self.begin_row(most)

    def begin_row(self, most: int, *, after: int = 0) -> None:
        """What is read from now on is of another row than the one of so many cells that was."""
        self._count(after)
        self.most = self._left = most
        self._begins, self._line = self.read + 1, ""
        self._parted = 0
        self._end.begin(self.delimiter)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._line:
            self._end.is_in(self._line)
            self._parted += self._line.count(self.delimiter)
            self._line = ""
            self._count(_CELLS_LINE)
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
        self._count(self._parted)
        for piece in filter(None, chain([self._line], iter(partial(self._piece, _READ_CHARACTERS), ""))):
            self._count(_CELLS_LINE + piece.count(self.delimiter) + _CELLS_QUOTE * piece.count(_QUOTE))
            if self._end.is_in(piece):
                return
        if self._end.inside:
            raise MalformedBodyError(f"The body is not CSV: a quote in the row of line {self._begins} is never closed.")

    def _count(self, cells: int) -> None:
        self._counted += cells
        if self._counted > _MOST_CELLS:
            raise InvalidRequestError(
                f"The upload has more than {_MOST_CELLS} cells; a line inside of a row counts as {_CELLS_LINE} of "
                f"them, a quote in a row that is too long as {_CELLS_QUOTE}."
            )

    def _piece(self, most: int) -> str:
        piece = self._text.readline(most)
        if self._cut and piece == "\n":
            # Of a line that was told already.
            piece = self._text.readline(most)
        if piece:
            self.read += self._ended
            self._ended = piece.endswith(_ENDS)
            self._cut = len(piece) == most and piece.endswith("\r")
        return piece


class _RowEnd:
    """Where a row ends: at the first end of a line that is not in quotes, which open where a cell begins."""

    def begin(self, delimiter: str) -> None:
        """With another row."""
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
