"""A quote as a workbook: its lines as a table whose sums are formulas, the sizing, and the screening."""

import io
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from service.documents.inert import inert
from service.documents.lines_sheet import write_lines
from service.documents.spelled import day, figure, percent, words
from service.documents.view import Quote, page_view

Rows = Iterable[tuple[str, ...]]
_WIDE = 46
# What strangers write is text: nothing becomes a formula, a link or a number by its looks.
_PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def quote_xlsx(quote: Quote, *, state: str, sha256: str | None) -> bytes:
    """The bytes of the workbook, equal for equal quotes; every formula carries its computed value."""
    view = page_view(quote, state=state, sha256=sha256)
    kept = io.BytesIO()
    with Workbook(kept, {"in_memory": True, **_PLAIN}) as book:
        made_on = date.fromisoformat(quote["issued_on"] or quote["created_on"])
        book.set_properties({"title": view["title"], "created": datetime.combine(made_on, time(), UTC)})
        bold, wrap = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
        write_lines(book, quote, head=_head(view))
        _sheet(book, "Sizing", _sizing(quote, view), bold=bold, wrap=wrap)
        _sheet(book, "Export screening", _screening(view), bold=bold, wrap=wrap)
    return kept.getvalue()


def _head(view: Mapping[str, Any]) -> list[str]:
    customer = view["customer"]
    return [view["title"], *view["banners"], " - ".join([customer["name"], *customer["lines"]]), *view["dates"]]


def _sheet(book: Workbook, name: str, rows: Rows, *, bold: Format, wrap: Format) -> None:
    sheet: Worksheet = book.add_worksheet(name)
    sheet.set_column(0, 0, _WIDE / 2)
    sheet.set_column(1, 4, _WIDE / 2)
    for place, row in enumerate(rows):
        for column, text in enumerate(row):
            sheet.write_string(place, column, inert(text), bold if len(row) == 1 or column == 0 else wrap)


def _sizing(quote: Quote, view: Mapping[str, Any]) -> Rows:
    option = quote["option"]
    yield (view["summary"]["sentence"],)
    yield ("Target", view["summary"]["target"])
    yield ("Confidence", percent(quote["confidence_fraction"]))
    yield ("What binds", option["bottleneck"])
    yield ("Metric", "p10", "p50", "p90", "Basis")
    for name, metric in option["metrics"].items():
        yield (name, figure(metric["p10"]), figure(metric["p50"]), figure(metric["p90"]), metric["basis"])
    yield ("Memory per GPU", f"{figure(option['memory_used_gb_gpu'])} of {figure(option['memory_usable_gb_gpu'])} GB")
    for part, size_gb in option["memory_gb_gpu"].items():
        yield (words(part), f"{figure(size_gb)} GB")
    yield ("Power and racks",)
    yield from ((row["name"], row["value"]) for side in ("left", "right") for row in view["site"][side])
    yield ("What it rests on",)
    yield from (("", text) for text in view["assumptions"])
    yield ("Written", day(quote["created_on"]))


def _screening(view: Mapping[str, Any]) -> Rows:
    export = view["export"]
    yield (export["headline"],)
    yield ("Flag", "Rule", "Why, and its source")
    yield from ((row["flag"], row["rule"], row["why"]) for row in export["matches"])
    yield from (("", note) for note in export["notes"])
