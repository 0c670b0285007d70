"""The workbook computes what the quote says; in it and in the CSV, text is never computed."""

import csv
import io
import re
from decimal import Decimal

import pytest
from openpyxl import load_workbook

from service.documents.csv import quote_csv
from service.documents.inert import inert
from service.documents.order import ordered_lines
from service.documents.xlsx import quote_xlsx
from service.quoting.quote import Customer
from tests.documents.conftest import HOSTILE

_HEAD = "No."


def opened(quote, *, values=False, **changes):
    content = quote_xlsx(quote(**changes), state="draft", sha256=None)
    return load_workbook(io.BytesIO(content), data_only=values)


def rows_of(sheet):
    """Rows of the table, by heading."""
    rows = list(sheet.iter_rows(values_only=True))
    start = next(place for place, row in enumerate(rows) if row[0] == _HEAD)
    found = []
    for row in rows[start + 1 :]:
        if row[0] is None:
            break
        found.append(dict(zip(rows[start], row, strict=True)))
    return found


def test_amounts_are_formulas_that_carry_their_value(quote):
    snapshot = quote()
    formulas, values = (rows_of(opened(quote, values=each)["Quote"]) for each in (False, True))
    assert len(values) == len(snapshot["lines"])
    for formula, value, (_, line) in zip(formulas, values, ordered_lines(snapshot), strict=True):
        for heading, member in (("List amount", "extended_list"), ("Net amount", "extended_net")):
            if line[member] is None:
                assert formula[heading] is None
            else:
                assert formula[heading].startswith("=ROUND(")
                assert value[heading] == pytest.approx(float(line[member]))


def test_the_formulas_compute_the_same_amounts(quote):
    for row in rows_of(opened(quote, values=True)["Quote"]):
        if row["List price"] is None:
            continue
        years = row["Months"] / 12 if row["Charge"] == "yearly" else 1
        net = row["List price"] * row["Quantity"] * years * (1 - row["Discount"])
        assert row["Net amount"] == pytest.approx(net, abs=0.006)


def test_sums_are_those_of_the_quote(quote):
    snapshot = quote()
    shown, formulas = (
        [cell for row in opened(quote, values=each)["Quote"].iter_rows(values_only=True) for cell in row]
        for each in (True, False)
    )
    for part in ("one_time", "recurring"):
        for amount in ("list_amount", "discount_amount", "net_amount"):
            assert float(snapshot["totals"][part][amount]) in shown
    sums = [str(formula) for formula in formulas if str(formula).startswith("=SUMIF(")]
    assert len(sums) == 6
    # What is summed by is what stands in the column.
    kinds = {re.search(r'"([^"]+)"', formula)[1] for formula in sums}
    assert kinds == {row["Charge"] for row in rows_of(opened(quote)["Quote"])} == {"one time", "yearly"}


def test_the_other_sheets_have_sizing_and_screening(quote):
    book = opened(quote)
    assert book.sheetnames == ["Quote", "Sizing", "Cost of ownership", "Lead times", "Export screening"]
    screening = " ".join(str(cell) for row in book["Export screening"].iter_rows(values_only=True) for cell in row)
    assert quote()["export"]["disclaimer"] in screening
    assert "US-LIC-a-WORLDWIDE-ON-BOOKS" in screening


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_becomes_a_formula_or_a_link(quote, name):
    snapshot = quote(customer=Customer(name=name, contact=name))
    for line in snapshot["lines"]:
        line["name"] = line["why"] = name
    book = load_workbook(io.BytesIO(quote_xlsx(snapshot, state="draft", sha256=None)))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.hyperlink is not None]
    assert all(cell.quotePrefix for cell in cells if cell.value == name)
    # Rows of the table, sums of its columns, and the freight.
    ours = ("=ROUND(", "=SUMIF(", "=900", "=P", "=Q", "=R", "=S")
    assert not [cell.value for cell in cells if cell.data_type == "f" and not str(cell.value).startswith(ours)]
    table = list(csv.DictReader(io.StringIO(quote_csv(snapshot, state="draft").decode("utf-8-sig"))))
    assert all(row["Name"] == inert(name) for row in table)
    assert all(row["Name"][0] not in "=+-@\t\r" for row in table)


def test_numbers_of_the_csv_are_exact_and_negative_ones_stay_numbers(quote):
    snapshot = quote()
    snapshot["lines"][0]["extended_net"] = "-12.50"
    table = list(csv.DictReader(io.StringIO(quote_csv(snapshot, state="draft").decode("utf-8-sig"))))
    assert table[0]["Net amount"] == "-12.50"
    assert Decimal(table[1]["List price"]) == Decimal(snapshot["lines"][1]["unit_list"])
    assert {row["Quote"] for row in table} == {"Q-2026-000123"}


def test_the_first_sheet_says_at_which_prices_and_on_which_terms(quote):
    snapshot = quote()
    content = quote_xlsx(snapshot, state="draft", sha256="sha256:abc")
    sheet = load_workbook(io.BytesIO(content))["Quote"]
    head = {row[1]: row[2] for row in sheet.iter_rows(values_only=True) if row[0] is None and row[1] is not None}
    assert head["Prices"] == "House book, version 1, of 1 November 2026, in USD"
    assert head["Exchange rate"] == "1 USD = 0.92345 EUR, 27 November 2026, the central bank"
    assert (head["Tax"], head["Payment"], head["Snapshot"]) == ("VAT is added", "30 days net", "sha256:abc")
    assert head["Offered by"] == "A seller Ltd, sales@seller.example, Written by seller-1"


def test_numbers_of_the_other_sheets_are_numbers(quote):
    snapshot = quote()
    book = opened(quote)
    sizing = {row[0]: row[1:4] for row in book["Sizing"].iter_rows(values_only=True)}
    metric = snapshot["option"]["metrics"]["output_tokens_s"]
    assert sizing["Output in all (tokens/s)"] == (metric["p10"], metric["p50"], metric["p90"])
    owned = {row[0]: row[1] for row in book["Cost of ownership"].iter_rows(values_only=True)}
    assert owned["Total"] == pytest.approx(float(snapshot["tco"]["total"]))
    assert owned["GPU hour"] == pytest.approx(float(snapshot["tco"]["figures"][0]["amount"]))
    notes = {row[0]: row[3] for row in book["Cost of ownership"].iter_rows(values_only=True)}
    assert notes["Utilisation at which both cost the same"] == notes["Total"] == "space, support, staff"


def test_lines_have_one_order_and_one_number_in_every_document(quote):
    table = list(csv.DictReader(io.StringIO(quote_csv(quote(), state="draft").decode("utf-8-sig"))))
    assert [row["No."] for row in table] == [str(number) for number in range(1, len(table) + 1)]
    charges = [row["Charge"] for row in table]
    assert charges == sorted(charges)
    assert [row["Line"] for row in rows_of(opened(quote)["Quote"])] == [row["Line"] for row in table]


def test_every_sheet_is_printed_as_wide_as_a_page_with_long_texts_wrapped(quote):
    book = opened(quote)
    for sheet in book:
        assert (sheet.page_setup.orientation, sheet.page_setup.fitToHeight) == ("landscape", 0), sheet.title
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
    heading = next(row for row in book["Quote"].iter_rows() if row[0].value == "No.")
    assert book["Quote"].print_title_rows == f"${heading[0].row}:${heading[0].row}"
    wrapped = [cell.value for cell in next(book["Quote"].iter_rows(heading[0].row + 1)) if cell.alignment.wrap_text]
    assert wrapped[0] == quote()["lines"][0]["name"]


def test_a_row_is_as_high_as_its_longest_text(quote):
    """LibreOffice takes the height that stands in the file; without one, texts that are wrapped lie on each other."""
    rests = [row for row in opened(quote)["Sizing"].iter_rows() if len(str(row[1].value or "")) > 150]
    assert rests
    assert all(row[0].parent.row_dimensions[row[0].row].height >= 30 for row in rests)


def test_a_workbook_is_the_same_every_time(quote):
    snapshot = quote()
    assert quote_xlsx(snapshot, state="draft", sha256=None) == quote_xlsx(snapshot, state="draft", sha256=None)


def test_every_row_of_the_csv_says_what_it_is(quote):
    table = list(csv.DictReader(io.StringIO(quote_csv(quote(), state="draft").decode("utf-8-sig"))))
    assert all(row["Marks"].startswith("DRAFT") and "INCOMPLETE" in row["Marks"] for row in table)
    assert {row["Customer"] for row in table} == {"A customer"}


def test_a_snapshot_of_an_older_version_is_still_a_document(quote):
    snapshot = quote()
    for name in ("sized", "offered_by"):
        del snapshot[name]
    book = load_workbook(io.BytesIO(quote_xlsx(snapshot, state="issued", sha256=None)))
    said = {row[1]: row[2] for row in book["Quote"].iter_rows(values_only=True)}
    assert said["Offered by"] == "seller-1, Written by seller-1"
