"""The items of one JSON list, cut at the commas that lie in no string and no bracket; what an item is, its reader says.

Each byte is looked at once, whatever it is, so that a list costs what its length does.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from service.schemas.json_text import MalformedBodyError
from service.schemas.uploaded_item import Cut

_READ_BYTES = 32_768
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_QUOTE, _BACKSLASH, _COMMA, _OPENS, _CLOSES, _END = b'"\\,{}]'
# It makes a brace of a bracket.
_BRACE = 0x20


def list_items(stream: BinaryIO, most_bytes: int) -> Iterator[Cut]:
    """The items in their order."""
    parts = _parts(stream)
    number, item = 1, _Item(most_bytes)
    for text, mark in parts:
        item.take(text)
        if mark is None:
            continue
        if mark not in {_COMMA, _END}:
            raise MalformedBodyError(f"The body is not JSON: item {number} is followed by neither a comma nor ].")
        if item.text:
            yield Cut(number, None if item.is_long else item.text.rstrip(_SPACE))
        elif mark == _COMMA or number > 1:
            raise MalformedBodyError(f"The body is not JSON: item {number} is empty.")
        if mark == _END:
            break
        number, item = number + 1, _Item(most_bytes)
    else:
        raise MalformedBodyError(f"The body is not JSON: item {number} has no end.")
    if any(mark or text.strip(_SPACE) for text, mark in parts):
        raise MalformedBodyError("The body is not JSON: something follows the list.")


class _Item:
    """What there is of an item so far, without the space before it, and so many bytes of it."""

    __slots__ = ("_most", "is_long", "text")

    def __init__(self, most: int) -> None:
        self.text = b""
        self.is_long = False
        self._most = most

    def take(self, text: bytes) -> None:
        """It goes on with this."""
        text = text if self.text else text.lstrip(_SPACE)
        room = self._most - len(self.text)
        if len(text) > room:
            # Space that follows it is none of it.
            self.is_long = self.is_long or bool(text[room:].strip(_SPACE))
            text = text[:room]
        self.text += text


class _Part(NamedTuple):
    """A part of what lies in the list, and the mark where it ends: a comma between items, or what closes the list."""

    text: bytes
    mark: int | None


def _parts(stream: BinaryIO) -> Iterator[_Part]:
    marks = _Marks()
    for piece in _pieces(stream):
        at = 0
        for mark in marks.of(piece):
            yield _Part(piece[at:mark], piece[mark])
            at = mark + 1
        yield _Part(piece[at:], None)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """What follows the bracket that opens the list; no piece ends within an escape."""
    start = stream.read(_READ_BYTES).removeprefix(_BOM).lstrip(_SPACE)
    while not start and (start := stream.read(_READ_BYTES)):
        start = start.lstrip(_SPACE)
    if not start.startswith(b"["):
        raise MalformedBodyError("Send a JSON list of workloads, or one workload per line as application/x-ndjson.")
    piece = start[1:] or stream.read(_READ_BYTES)
    while piece:
        backslashes = len(piece) - len(piece.rstrip(b"\\"))
        yield piece + stream.read(1) if backslashes % 2 else piece
        piece = stream.read(_READ_BYTES)


class _Marks:
    """Where items end, piece by piece."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_quoted = False

    def of(self, piece: bytes) -> list[int]:
        """The places of the piece where one ends."""
        # An escaped backslash escapes nothing; an escaped quote opens and closes nothing.
        characters = np.frombuffer(piece.replace(rb"\\", b"__"), np.uint8)
        quotes = characters == _QUOTE
        if b"\\" in piece:
            quotes[1:] &= characters[:-1] != _BACKSLASH
        # The quote that opens a text is in it, the one that closes it is not.
        is_outside = np.bitwise_xor.accumulate(quotes)
        if not self._is_quoted:
            np.logical_not(is_outside, out=is_outside)
        self._is_quoted = not is_outside[-1]
        braces = characters | _BRACE
        closes = (braces == _CLOSES) & is_outside
        opens = (braces == _OPENS) & is_outside
        depths = np.cumsum(opens.view(np.int8) - closes.view(np.int8), dtype=np.int32)
        is_part = ((characters == _COMMA) & is_outside) | closes
        found = np.flatnonzero(is_part & (depths + closes == -self._depth))
        self._depth += int(depths[-1])
        marks: list[int] = found.tolist()
        return marks
