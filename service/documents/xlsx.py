"""A quote as a workbook: its lines as a table whose sums are formulas, the sizing, ownership, lead times, screening."""

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from service.documents.labels import label, unit
from service.documents.lines_sheet import Formats, for_paper, formats_of, write_lines
from service.documents.older import as_today
from service.documents.order import names_of
from service.documents.ownership_block import missing_names
from service.documents.price_block import book_in_words, rate_in_words
from service.documents.row_height import set_height
from service.documents.spelled import day, words
from service.documents.view import Quote, page_view

Cell = str | int | float | None
Rows = Iterable[tuple[Cell, ...]]
_WIDE, _NARROW, _LAST = 46, 23, 5
_BACKLOG = (("orders_usd_b", "orders"), ("shipped_usd_b", "shipped"), ("backlog_usd_b", "backlog"))
# What strangers write is text: nothing becomes a formula, a link or a number by its looks.
_PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def quote_xlsx(quote: Quote, *, state: str, sha256: str | None) -> bytes:
    """The bytes of the workbook, equal for equal quotes; every formula carries its computed value."""
    quote = as_today(quote)
    view = page_view(quote, state=state, sha256=sha256)
    kept = io.BytesIO()
    with Workbook(kept, {"in_memory": True, **_PLAIN}) as book:
        made_on = date.fromisoformat(quote["issued_on"] or quote["created_on"])
        book.set_properties({"title": view["title"], "created": datetime.combine(made_on, time(), UTC)})
        formats = formats_of(book, quote["currency"])
        title = [view["title"], *view["banners"]]
        write_lines(book, quote, formats, title=title, head=_head(quote, view, sha256))
        _sheet(book, "Sizing", _sizing(quote, view), formats)
        if quote["tco"] is not None:
            _sheet(book, "Cost of ownership", _ownership(quote["tco"]), formats)
        _sheet(book, "Lead times", _lead_times(quote["supply"], names_of(quote)), formats)
        _sheet(book, "Export screening", _screening(view), formats)
    return kept.getvalue()


def _head(quote: Quote, view: Mapping[str, Any], sha256: str | None) -> Iterator[tuple[str, str]]:
    """Who, when, at which prices and rate, and on which terms."""
    for name, who in (("Customer", view["customer"]), ("Offered by", view["seller"])):
        yield name, ", ".join([who["name"], *who["lines"]])
    yield "Dates", ", ".join(view["dates"])
    yield "Prices", book_in_words(quote["price_book"])
    yield "Exchange rate", rate_in_words(quote) or "none needed: prices and quote are in one currency"
    yield "Tax", quote["totals"]["tax_note"] or "not included"
    yield from ((row["name"], row["value"]) for row in view["terms"])
    yield "Snapshot", sha256 or "not stored"


def _sheet(book: Workbook, name: str, rows: Rows, formats: Formats) -> None:
    sheet: Worksheet = book.add_worksheet(name)
    sheet.set_column(0, 0, _WIDE)
    sheet.set_column(1, _LAST, _NARROW)
    for_paper(sheet)
    for place, row in enumerate(rows):
        _row(sheet, place, row, formats)


def _row(sheet: Worksheet, place: int, row: tuple[Cell, ...], formats: Formats) -> None:
    """Numbers and texts; a text at the end of a row that is too long for its column takes those that are free."""
    texts = []
    for column, value in enumerate(row):
        if isinstance(value, int | float):
            sheet.write_number(place, column, value, formats.plain)
        elif value is not None:
            ends = column == len(row) - 1 and len(value) > _NARROW and column < _LAST
            named = formats.bold if len(row) == 1 else formats.row_name
            form = named if column == 0 else formats.wrap
            if ends and column > 0:
                sheet.merge_range(place, column, place, _LAST, "", form)
            sheet.write_string(place, column, value, form)
            if form is not formats.bold:
                texts.append((value, _width(column, alone=ends)))
    set_height(sheet, place, texts)


def _width(column: int, *, alone: bool) -> float:
    if column == 0:
        return _WIDE
    return _NARROW * (_LAST + 1 - column) if alone else _NARROW


def _sizing(quote: Quote, view: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    option, sized = quote["option"], quote["sized"]
    yield (view["summary"]["sentence"],)
    yield ("Target", view["summary"]["target"])
    yield ("Confidence", option["confidence_fraction"])
    yield ("What binds", words(option["bottleneck"]))
    yield ("Servers by the sizing", sized["servers"])
    yield ("of them spare", sized["spare_servers"])
    yield ("Servers quoted", option["servers"])
    yield ("Metric", "p10", "p50", "p90", "Basis")
    for name, metric in option["metrics"].items():
        yield (_named(name), metric["p10"], metric["p50"], metric["p90"], words(metric["basis"]))
    yield ("Memory per GPU, used (GB)", option["memory_used_gb_gpu"])
    yield ("Memory per GPU, usable (GB)", option["memory_usable_gb_gpu"])
    for part, size_gb in option["memory_gb_gpu"].items():
        yield (f"of it {words(part)} (GB)", size_gb)
    yield ("Power and racks",)
    yield from ((_named(name), value) for name, value in option["facility"].items() if _plain(value))
    yield ("What it rests on",)
    yield from (("", text) for text in view["assumptions"])
    yield ("Written", day(quote["created_on"]))


def _named(metric: str) -> str:
    """A quantity with its unit: Output tokens (tokens/s)."""
    return f"{label(metric)} ({unit(metric)})" if unit(metric) else label(metric)


def _plain(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _ownership(tco: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    inputs, currency = tco["inputs"], tco["currency"]
    yield ("Horizon (months)", inputs["horizon_months"])
    yield ("Utilisation", float(inputs["utilisation_fraction"]))
    yield (f"Part ({currency})", "Amount", "How it is found", "Missing")
    for part in tco["parts"]:
        yield (words(part["part"]), _number(part["amount"]), part["why"], ", ".join(missing_names(part["missing"])))
    yield ("Total", _number(tco["total"]), "", ", ".join(map(words, tco["missing"])))
    yield (f"Cost of one ({currency})", "Amount", "How it is found", "Without")
    for one in tco["figures"]:
        yield (words(one["unit"]), _number(one["amount"]), one["why"], ", ".join(map(words, one["without"])))
    cloud = tco["cloud"]
    if cloud is not None:
        yield ("The same hours in a cloud", _number(cloud["amount"]), f"{cloud['name']}, {day(cloud['date'])}")
        even = _number(cloud["break_even_utilisation_fraction"])
        how = "cost of owning / cost of every hour in that cloud"
        yield ("Utilisation at which both cost the same", even, how, ", ".join(map(words, cloud["without"])))
    yield ("What moves a GPU-hour most", "Low", "High", "GPU-hour at low", "GPU-hour at high")
    for moved in tco["sensitivity"]:
        names = ("low", "high", "gpu_hour_at_low", "gpu_hour_at_high")
        yield (words(moved["input"]), *(_number(moved[name]) for name in names))


def _number(value: str | float | None) -> float | None:
    return None if value is None else float(value)


def _lead_times(supply: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[tuple[Cell, ...]]:
    yield ("Ordered on", day(supply["ordered_on"]))
    yield ("Wished by", "no day" if supply["deliver_by"] is None else day(supply["deliver_by"]))
    yield ("By the seller's lead times", words(supply["delivery"]))
    yield ("Part", "Weeks", "As of", "Ready on")
    for part in supply["parts"]:
        name = names.get(part["part"], part["part"])
        yield (name, part["weeks"], part["as_of"] or "not known", part["ready_on"] or "not known")
    yield ("What was said in public, and enters nothing",)
    for note in supply["notes"]:
        yield (note["about"], note["said"], note["statement"], "; ".join(note["sources"]))
    for fact in supply["backlog"]:
        amounts = [f"{name}: {fact[key]} billion USD" for key, name in _BACKLOG if fact[key] is not None]
        yield (f"AI servers, {fact['quarter']}", fact["reported"], "; ".join(amounts), "; ".join(fact["sources"]))


def _screening(view: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    export = view["export"]
    yield (export["headline"],)
    yield ("Flag", "Rule", "Why, and its source")
    yield from ((row["flag"], row["rule"], row["why"]) for row in export["matches"])
    yield from (("", note) for note in export["notes"])
