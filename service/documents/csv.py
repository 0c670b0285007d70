"""A quote's lines as CSV: numbers as they are kept, text that no spreadsheet computes."""

import csv
import io
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from service.documents.columns import COLUMNS, Value, rows_of
from service.documents.inert import inert
from service.documents.view import banners


def quote_csv(quote: Mapping[str, Any], *, state: str) -> bytes:
    """A heading and a row a line, in UTF-8 with the mark that spreadsheets know it by.

    Every row names its quote and what must be known of it, for rows are copied away from each other.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(["Quote", "Revision", "Customer", "Marks", "Currency", *(column.heading for column in COLUMNS)])
    marks = "; ".join(banners(quote, state))
    start = [inert(quote["number"]), quote["revision"], inert(quote["customer"]["name"]), marks, quote["currency"]]
    for line in rows_of(quote):
        rows.writerow([*start, *(_cell(column.of(line)) for column in COLUMNS)])
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Value) -> str:
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else inert(str(value))
