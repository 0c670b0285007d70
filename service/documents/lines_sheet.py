"""The first sheet of a quote's workbook: a table of lines, whose amounts and sums a spreadsheet can compute again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from service.documents.columns import COLUMNS, rows_of
from service.documents.row_height import set_height
from service.documents.spelled import words
from service.quoting.currency import MINOR_DIGITS

_NAME = "Lines"
_PLACES = {column.member: place for place, column in enumerate(COLUMNS)}
_WIDTHS = {
    "number": 5, "id": 22, "part": 26, "name": 34, "configuration": 44, "why": 34, "orderable": 8, "charge": 9,
    "quantity": 9, "months": 8, "included_quantity": 9, "discount_fraction": 9, "lead_time_weeks": 10,
}  # fmt: skip
_YEARLY, _ONCE = "yearly", "one_time"
# Of these the text is longer than any column is wide.
_LONG = frozenset({"name", "configuration", "why"})
_A4, _WIDTH = 9, 14
_NET = "extended_net"
_AMOUNTS = ("extended_list", "extended_discount", _NET)
_PARTS = ("list_amount", "discount_amount", "net_amount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """How cells look. `text` keeps what begins like a formula a text even when somebody edits it."""

    text: Format
    bold: Format
    wrap: Format
    row_name: Format
    heading: Format
    plain: Format
    money: Format
    unit_price: Format
    share: Format
    strong: Format


def formats_of(book: Workbook, currency: str) -> Formats:
    """The formats of a workbook in a currency."""
    digits = MINOR_DIGITS[currency]
    money = "#,##0" + ("." + "0" * digits if digits else "")
    # A row is as high as its longest text, and is read from its top.
    top, quoted = {"valign": "top"}, {"quote_prefix": True, "valign": "top"}
    return Formats(
        text=book.add_format(quoted),
        bold=book.add_format({**quoted, "bold": True}),
        wrap=book.add_format({**quoted, "text_wrap": True}),
        row_name=book.add_format({**quoted, "bold": True, "text_wrap": True}),
        heading=book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1}),
        plain=book.add_format(top),
        money=book.add_format({**top, "num_format": money}),
        unit_price=book.add_format({**top, "num_format": money + ("####" if digits else ".####")}),
        share=book.add_format({**top, "num_format": "0.##%"}),
        strong=book.add_format({"bold": True, "num_format": money, "top": 1}),
    )


def write_lines(
    book: Workbook, quote: Mapping[str, Any], formats: Formats, *, title: Sequence[str], head: Iterable[tuple[str, str]]
) -> None:
    """The sheet `Quote`: what must be seen first, who and when and on which terms, the table, then the sums."""
    sheet: Worksheet = book.add_worksheet("Quote")
    for place, column in enumerate(COLUMNS):
        sheet.set_column(place, place, _WIDTHS.get(column.member, _WIDTH))
    row = 0
    for text in title:
        sheet.write_string(row, 0, text, formats.bold)
        row += 1
    for name, text in head:
        sheet.write_string(row, 1, name, formats.bold)
        sheet.write_string(row, 2, text, formats.text)
        row += 1
    first = row + 1
    lines = rows_of(quote)
    sheet.add_table(
        first,
        0,
        first + max(len(lines), 1),
        len(COLUMNS) - 1,
        {
            "name": _NAME,
            "style": "Table Style Light 1",
            "columns": [{"header": column.heading, "header_format": formats.heading} for column in COLUMNS],
        },
    )
    set_height(sheet, first, ((column.heading, _WIDTHS.get(column.member, _WIDTH) - 4) for column in COLUMNS))
    digits = MINOR_DIGITS[quote["currency"]]
    for place, line in enumerate(lines, start=first + 1):
        _line(sheet, place, line, digits=digits, formats=formats)
    last = first + len(lines)
    _Sums(sheet=sheet, row=last + 2, rows=(first + 2, last + 1), formats=formats).write(quote["totals"])
    sheet.freeze_panes(first + 1, 0)
    for_paper(sheet)
    sheet.repeat_rows(first)


def for_paper(sheet: Worksheet) -> None:
    """Printed as wide as a page, with its number below."""
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&R&P / &N")


def _line(sheet: Worksheet, row: int, line: Mapping[str, Any], *, digits: int, formats: Formats) -> None:
    long = ((column.of(line), _WIDTHS[column.member]) for column in COLUMNS if column.member in _LONG)
    set_height(sheet, row, ((str(text), width) for text, width in long if text is not None))
    for place, column in enumerate(COLUMNS):
        value = column.of(line)
        if value is None:
            sheet.write_blank(row, place, None)
        elif not isinstance(value, Decimal):
            said = words(str(value)) if column.member == "charge" else str(value)
            sheet.write_string(row, place, said, formats.wrap if column.member in _LONG else formats.text)
        elif column.member.startswith("extended_"):
            formula = _amount(column.member, row + 1, yearly=line["charge"] == _YEARLY, digits=digits)
            sheet.write_formula(row, place, formula, formats.money, float(value))
        else:
            form = {"discount_fraction": formats.share, "unit_list": formats.unit_price}.get(
                column.member, formats.plain
            )
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


@dataclass(slots=True, kw_only=True)
class _Sums:
    """Rows of sums below the table: list, discount and net in the columns of the lines' amounts."""

    sheet: Worksheet
    row: int
    rows: tuple[int, int]
    formats: Formats
    nets: list[str] = field(default_factory=list)

    def write(self, totals: Mapping[str, Any]) -> None:
        """Once, over the term, charges, total."""
        for name, kind, key in (("Once", _ONCE, "one_time"), ("Over the term", _YEARLY, "recurring")):
            amounts = {member: totals[key][part] for member, part in zip(_AMOUNTS, _PARTS, strict=True)}
            self._put(name, {member: (self._sum(member, kind), amount) for member, amount in amounts.items()})
        for number, extra in enumerate(totals["charges"], start=1):
            self._put(f"{number}. {extra['name']}", {_NET: (f"={extra['amount']}", extra["amount"])})
        if totals["total"] is None:
            self.sheet.write_string(
                self.row, _PLACES[_AMOUNTS[0]] - 2, f"Total in {totals['currency']}: incomplete", self.formats.bold
            )
        else:
            formula = f"={'+'.join(self.nets)}"
            self._put(f"Total in {totals['currency']}", {_NET: (formula, totals["total"])})

    def _sum(self, member: str, kind: str) -> str:
        charge, amount = (xl_col_to_name(_PLACES[name]) for name in ("charge", member))
        start, end = self.rows
        return f'=SUMIF({charge}{start}:{charge}{end},"{words(kind)}",{amount}{start}:{amount}{end})'

    def _put(self, name: str, cells: Mapping[str, tuple[str, str]]) -> None:
        self.sheet.write_string(self.row, _PLACES[_AMOUNTS[0]] - 2, name, self.formats.bold)
        for member, (formula, value) in cells.items():
            self.sheet.write_formula(self.row, _PLACES[member], formula, self.formats.strong, float(value))
        self.nets.append(f"{xl_col_to_name(_PLACES[_NET])}{self.row + 1}")
        self.row += 1
