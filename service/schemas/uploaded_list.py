"""The members of one JSON list, each found by Python's own scanner as soon as all of it is there."""

import io
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from service.errors import InvalidRequestError
from service.schemas.json_text import MalformedBodyError
from service.schemas.uploaded_item import Uploaded

_READ_CHARACTERS = 65_536
_SPACE = re.compile(r"[ \t\r\n]*")
# More than any 64 MB of workloads have: small values take a hundred times as long to read as their text.
_MOST_BRACKETS = 1_500_000
_MOST_MARKS = 6_000_000
# Digits are only passed here, by what makes nothing of them; whoever reads the item says that there are too many.
_DECODER = json.JSONDecoder(parse_int=callable, parse_float=callable)


def list_members(stream: BinaryIO, most_bytes: int) -> Iterator[Uploaded]:
    """The members in their order."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        yield from _members(_Window(text, most_bytes))
    finally:
        text.detach()


def _members(text: "_Window") -> Iterator[Uploaded]:
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

    def __init__(self, text: io.TextIOWrapper, most_bytes: int) -> None:
        self._read = text.read
        self._most = most_bytes
        self._brackets = self._marks = 0
        self._text, self._at, self._ended = "", 0, False

    def next_mark(self) -> str:
        """The next character that is no space; nothing at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        """Go past it."""
        self._at += 1

    def value(self, number: int) -> str:
        """The text of the value that begins here."""
        self.next_mark()
        # All that an item may have is there before it is read: each look would begin anew.
        while len(self._text) - self._at <= self._most and self._more(self._most + 1):
            pass
        try:
            _, end = _DECODER.raw_decode(self._text, self._at)
        except (json.JSONDecodeError, RecursionError) as error:
            if not self._ended:
                raise self._endless(number) from error
            what = getattr(error, "msg", "it is nested too deeply")
            raise MalformedBodyError(f"The body is not JSON: item {number}: {what}.") from error
        if end == len(self._text) and not self._ended:
            raise self._endless(number)
        found, self._at = self._text[self._at : end], end
        if "\x00" in found:
            raise MalformedBodyError(f"The body is not JSON: item {number} contains the character NUL.")
        return found

    def _endless(self, number: int) -> InvalidRequestError:
        return InvalidRequestError(f"Item {number} is longer than {self._most} bytes, or no JSON at all.")

    def _more(self, size: int = _READ_CHARACTERS) -> bool:
        try:
            read = self._read(size)
        except UnicodeDecodeError as error:
            raise MalformedBodyError("The body is not UTF-8.") from error
        self._text, self._at = self._text[self._at :] + read, 0
        self._ended = not read
        self._count(read)
        return bool(read)

    def _count(self, read: str) -> None:
        """Before it is understood, so what stands in strings counts too."""
        self._brackets += read.count("[") + read.count("{")
        self._marks += read.count(",") + read.count(":")
        if self._brackets > _MOST_BRACKETS:
            raise InvalidRequestError(f"The upload has more than {_MOST_BRACKETS} opening brackets.")
        if self._marks > _MOST_MARKS:
            raise InvalidRequestError(f"The upload has more than {_MOST_MARKS} commas and colons.")
