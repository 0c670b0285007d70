"""How high a row of a worksheet must be for its texts: not every program that opens one measures them itself."""

import math
from collections.abc import Iterable

from xlsxwriter.worksheet import Worksheet

_LINE_POINTS = 15.0
# What a spreadsheet takes at most.
_MOST_POINTS = 409.0
# A column of width 10 holds ten digits and more letters, though words do not fill a line to its end.
_FILLED = 1.05


def set_height(sheet: Worksheet, row: int, texts: Iterable[tuple[str, float]]) -> None:
    """Make a row high enough for the longest of its texts, each with the width that it is wrapped in."""
    lines = max((_lines(text, width) for text, width in texts), default=1)
    if lines > 1:
        sheet.set_row(row, min(lines * _LINE_POINTS, _MOST_POINTS))


def _lines(text: str, width: float) -> int:
    return sum(max(1, math.ceil(len(part) / (width * _FILLED))) for part in text.split("\n"))
