"""Long tables as CSV in pieces, so that nobody holds all of one; text that no spreadsheet computes."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from service.documents.inert import inert

_MOST_ROWS = 200


def csv_pieces(heading: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    """A heading and the rows; an empty cell where nothing is known."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(heading)
    for number, row in enumerate(rows, 1):
        table.writerow([_cell(value) for value in row])
        if not number % _MOST_ROWS:
            yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    piece = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return piece


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return inert(value) if isinstance(value, str) else str(value)
