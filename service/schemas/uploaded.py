"""An uploaded batch, cut into items one after another: NDJSON, CSV or a JSON list, never all of it at once.

It is looked at as a whole first, so that what is refused in the end costs little, and nothing is written of it.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from service.errors import InvalidRequestError
from service.schemas.json_text import MalformedBodyError
from service.schemas.uploaded_item import Cut, Uploaded, too_long
from service.schemas.uploaded_list import list_items
from service.schemas.uploaded_table import row_item, table_rows

NDJSON = "application/x-ndjson"
CSV = "text/csv"
JSON = "application/json"
MOST_ITEMS = 100_000
_MOST_BLANK_LINES = 100_000
_READ_BYTES = 65_536
_START_BYTES = 2


def uploaded(stream: BinaryIO, media_type: str, *, most_bytes: int, most_items: int = MOST_ITEMS) -> Iterator[Uploaded]:
    """The items of an upload, which can be sought, in their order; an item may have `most_bytes`.

    Raises MalformedBodyError where it is no list of items at all, InvalidRequestError for too many items and for a
    heading that names nothing: before the first item is told.
    """
    _check_encoding(stream.read(_START_BYTES))
    form = _FORMS[media_type]
    stream.seek(0)
    for count, _ in enumerate(form.pieces(stream, most_bytes), 1):
        if count > most_items:
            raise InvalidRequestError(f"A batch has at most {most_items} workloads; send the others as another one.")
    stream.seek(0)
    return (form.item(piece, most_bytes) for piece in form.pieces(stream, most_bytes))


def _check_encoding(start: bytes) -> None:
    """Half of the bytes of UTF-16 are NUL, and would be told of line by line."""
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\x00" in start:
        raise MalformedBodyError("The upload is in UTF-16; save it as UTF-8 (spreadsheets call that CSV UTF-8).")


def _lines(stream: BinaryIO, most_bytes: int) -> Iterator[Cut]:
    """The lines that are not blank."""
    number = blank = 0
    while text := stream.readline(most_bytes + 2):
        number += 1
        if len(text) > most_bytes and not text.endswith(b"\n"):
            if _has_words(stream, text):
                yield Cut(number, None)
                continue
            text = b""
        text = text.strip()
        if number == 1:
            text = text.removeprefix(codecs.BOM_UTF8)
        if text:
            yield Cut(number, text)
        else:
            blank += 1
            if blank > _MOST_BLANK_LINES:
                raise InvalidRequestError(f"The upload has more than {_MOST_BLANK_LINES} blank lines.")


def _has_words(stream: BinaryIO, begun: bytes) -> bool:
    """Whether a line that is too long to be kept is more than space; the rest of it is passed over."""
    found = bool(begun.strip())
    while rest := stream.readline(_READ_BYTES):
        found = found or bool(rest.strip())
        if rest.endswith(b"\n"):
            break
    return found


def _item(cut: Cut, most_bytes: int) -> Uploaded:
    number, text = cut
    if text is None:
        return Uploaded(line=number, wrong=too_long(most_bytes))
    try:
        asked = text.decode()
    except UnicodeDecodeError as error:
        return Uploaded(line=number, wrong=f"The item is not UTF-8: byte {error.start} of it cannot be read.")
    if "\x00" in asked:
        return Uploaded(line=number, wrong="The item contains the character NUL.")
    return Uploaded(line=number, asked=asked)


def _rows(stream: BinaryIO, most_bytes: int) -> Iterator[Any]:
    return table_rows(stream, most_bytes, most_blank=_MOST_BLANK_LINES)


@dataclass(frozen=True, slots=True)
class _Form:
    """How an upload of one type is cut, and what makes an item of a piece."""

    pieces: Callable[[BinaryIO, int], Iterator[Any]]
    item: Callable[[Any, int], Uploaded]


_FORMS = {NDJSON: _Form(_lines, _item), CSV: _Form(_rows, row_item), JSON: _Form(list_items, _item)}
