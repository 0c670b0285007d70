"""The first sheet of a quote's workbook: a table of lines, whose amounts and sums a spreadsheet can compute again."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from service.documents.columns import COLUMNS
from service.documents.inert import inert
from service.quoting.currency import MINOR_DIGITS

_NAME = "Lines"
_PLACES = {column.member: place for place, column in enumerate(COLUMNS)}
_WIDTHS = {"name": 44, "configuration": 40, "why": 36, "part": 28}
_YEARLY = "yearly"


def write_lines(book: Workbook, quote: Mapping[str, Any], *, head: Sequence[str]) -> None:
    """The sheet `Quote`: who and when, the table, then the sums."""
    digits = MINOR_DIGITS[quote["currency"]]
    money = book.add_format({"num_format": "#,##0" + ("." + "0" * digits if digits else "")})
    share, bold = book.add_format({"num_format": "0.##%"}), book.add_format({"bold": True})
    strong = book.add_format({"bold": True, "num_format": money.num_format, "top": 1})
    sheet: Worksheet = book.add_worksheet("Quote")
    for row, text in enumerate(head):
        sheet.write_string(row, 0, inert(text), bold)
    first = len(head) + 1
    lines = quote["lines"]
    for place, column in enumerate(COLUMNS):
        sheet.set_column(place, place, _WIDTHS.get(column.member, 14))
    sheet.add_table(
        first,
        0,
        first + max(len(lines), 1),
        len(COLUMNS) - 1,
        {"name": _NAME, "style": "Table Style Light 1", "columns": [{"header": column.heading} for column in COLUMNS]},
    )
    for row, line in enumerate(lines, start=first + 1):
        _line(sheet, row, line, digits=digits, money=money, share=share)
    last = first + len(lines)
    _sums(sheet, last + 2, quote, (first + 2, last + 1), plain=bold, money=strong)
    sheet.freeze_panes(first + 1, 0)


def _line(sheet: Worksheet, row: int, line: Mapping[str, Any], *, digits: int, money: Format, share: Format) -> None:
    for place, column in enumerate(COLUMNS):
        value = column.of(line)
        if value is None:
            sheet.write_blank(row, place, None)
        elif not isinstance(value, Decimal):
            sheet.write_string(row, place, str(value))
        elif column.member.startswith("extended_"):
            formula = _amount(column.member, row + 1, yearly=line["charge"] == _YEARLY, digits=digits)
            sheet.write_formula(row, place, formula, money, float(value))
        else:
            form = {"discount_fraction": share, "unit_list": money}.get(column.member)
            sheet.write_number(row, place, float(value), form)


def _amount(member: str, row: int, *, yearly: bool, digits: int) -> str:
    """The same arithmetic as in pricing: one rounding of each product, and list less net is the discount."""
    cell = {name: f"{xl_col_to_name(place)}{row}" for name, place in _PLACES.items()}
    if member == "extended_discount":
        return f"={cell['extended_list']}-{cell['extended_net']}"
    product = f"{cell['unit_list']}*{cell['quantity']}" + (f"*{cell['months']}/12" if yearly else "")
    if member == "extended_net":
        product += f"*(1-{cell['discount_fraction']})"
    return f"=ROUND({product},{digits})"


def _sums(
    sheet: Worksheet, row: int, quote: Mapping[str, Any], rows: tuple[int, int], *, plain: Format, money: Format
) -> None:
    totals = quote["totals"]
    last = len(COLUMNS) - 1
    at: dict[str, str] = {}

    def put(name: str, formula: str, value: str) -> None:
        place = row + len(at)
        sheet.write_string(place, last - 3, inert(name), plain)
        sheet.write_formula(place, last, formula, money, float(value))
        at[name] = f"{xl_col_to_name(last)}{place + 1}"

    charge, net = (xl_col_to_name(_PLACES[name]) for name in ("charge", "extended_net"))
    start, end = rows
    for name, kind, key in (("Once, net", "one_time", "one_time"), ("Over the term, net", _YEARLY, "recurring")):
        span = f"{charge}{start}:{charge}{end}", f"{net}{start}:{net}{end}"
        put(name, f'=SUMIF({span[0]},"{kind}",{span[1]})', totals[key]["net_amount"])
    for number, extra in enumerate(totals["charges"], start=1):
        put(f"{number}. {extra['name']}", f"={extra['amount']}", extra["amount"])
    if totals["total"] is None:
        sheet.write_string(row + len(at), last - 3, f"Total in {quote['currency']}: incomplete", plain)
    else:
        put(f"Total in {quote['currency']}", f"={'+'.join(at.values())}", totals["total"])
