"""A price book that is uploaded: which bodies and tables it may be, and what is said of each wrong row."""

from decimal import Decimal

import pytest
from marshmallow import ValidationError

from service.errors import InvalidRequestError
from service.schemas.issue import field_errors
from service.schemas.price_books import MOST_LINES, PriceBookRequestSchema
from service.schemas.price_table import book_of_table

HEAD = {"name": "list", "currency": "eur", "date": "2026-11-01"}
LINE = {"part": "a", "kind": "server", "unit": "system", "list_price": "1.5"}


def load(**changes):
    return PriceBookRequestSchema().load({**HEAD, "lines": [LINE], **changes})


def wrong(**changes):
    with pytest.raises(ValidationError) as refused:
        load(**changes)
    return {error.field: error.message for error in field_errors(refused.value.messages)}


def table(text, head=None):
    return PriceBookRequestSchema().load(book_of_table(text, HEAD if head is None else head))


def test_what_is_left_out_has_its_default():
    book = load()
    assert (book.currency, book.expires_on, book.indicative, book.note) == ("EUR", None, False, "")
    assert book.lines[0].list_price == Decimal("1.5")
    assert (book.lines[0].sku, book.lines[0].lead_time_weeks, book.lines[0].note) == (None, None, "")


@pytest.mark.parametrize(
    "price",
    ["0", "0.00", "-1", "1,5", "1.23456", "1e3", "NaN", "Infinity", "", " 1", "1 ", "٣", "1_0", "+1", "9" * 14, 1, 1.5,
     True, [], {}],
)  # fmt: skip
def test_a_price_is_a_positive_decimal_string(price):
    assert list(wrong(lines=[{**LINE, "list_price": price}])) == ["lines.0.list_price"]


def test_an_unknown_price_is_null_and_never_zero():
    assert load(lines=[{**LINE, "list_price": None}]).lines[0].list_price is None
    assert "an unknown price is null" in wrong(lines=[{**LINE, "list_price": "0"}])["lines.0.list_price"]


def test_each_wrong_row_is_named():
    lines = [
        LINE,
        {**LINE, "part": "b", "list_price": "-1"},
        {**LINE, "part": "c", "kind": "sever"},
        {**LINE, "part": "d", "prize": "1"},
        {"part": "e", "kind": "server"},
        {**LINE, "part": "f", "lead_time_weeks": -1},
    ]
    found = wrong(lines=lines)
    assert sorted(found) == [
        "lines.1.list_price", "lines.2.kind", "lines.3.prize", "lines.4.unit", "lines.5.lead_time_weeks",
    ]  # fmt: skip
    assert "list_price" not in found["lines.3.prize"] or "Did you mean" in found["lines.3.prize"]


def test_a_part_stands_once():
    found = wrong(lines=[LINE, {**LINE, "part": "b"}, {**LINE, "unit": "piece"}])
    assert list(found) == ["lines.2.part"]
    assert "lines.0" in found["lines.2.part"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [LINE] * (MOST_LINES + 1)}, "lines"),
        ({"lines": {}}, "lines"),
        ({"lines": [1]}, "lines.0"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "XAU"}, "currency"),
        ({"currency": 1}, "currency"),
        ({"date": "2026-13-01"}, "date"),
        ({"expires_on": "2026-10-31"}, "expires_on"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"indicative": "true"}, "indicative"),
        ({"version": 1}, "version"),
        ({"tenant_id": "ten_x"}, "tenant_id"),
        ({"id": "pbk_x"}, "id"),
        ({"effective_from": "2026-12-01"}, "effective_from"),
        ({"used": False}, "used"),
    ],
)
def test_a_wrong_head_is_refused(changes, field):
    assert list(wrong(**changes)) == [field]


ROWS = "part,kind,unit,list_price,lead_time_weeks,note\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_is_what_its_json_would_be(delimiter, end, mark):
    text = mark + f"{ROWS}a,server,system,1.50,12,\nb,optic,module,,,\n\n,,,,,\n".replace(",", delimiter).replace(
        "\n", end
    )
    book = table(text)
    first, second = (
        {**LINE, "list_price": "1.50", "lead_time_weeks": 12},
        {"part": "b", "kind": "optic", "unit": "module"},
    )
    assert book == load(lines=[first, second])


def test_cells_in_quotes_hold_anything_a_line_may():
    (line,) = table(f'{ROWS}"a, ""b""",server,system,1,,"=1+1; x"\n').lines
    assert (line.part, line.note) == ('a, "b"', "=1+1; x")


def test_each_wrong_row_of_a_table_is_named():
    with pytest.raises(ValidationError) as refused:
        table(f"{ROWS}a,server,system,0,,\nb,server,system,1,soon,\n,server,system,1,,\nd,server,system,12 500,1.5,\n")
    found = [error.field for error in field_errors(refused.value.messages)]
    assert sorted(found) == [
        "lines.0.list_price", "lines.1.lead_time_weeks", "lines.2.part", "lines.3.lead_time_weeks",
        "lines.3.list_price",
    ]  # fmt: skip


def test_rows_are_told_as_a_spreadsheet_counts_them():
    """The head is row 1, and rows without anything are counted there."""
    with pytest.raises(ValidationError) as refused:
        table(f"{ROWS}a,server,system,1,,\n\n,,,,,\nb,server,system,0,,\na,server,system,1,,\n")
    first, second = sorted(field_errors(refused.value.messages), key=lambda error: error.field)
    assert (first.field, first.message[:20], first.value) == ("lines.1.list_price", "Row 5 of the table: ", "0")
    assert (second.field, second.message) == (
        "lines.2.part",
        "Row 6 of the table: Stands twice; a part has one price, and row 2 has it.",
    )


def test_a_part_that_stands_twice_is_told_with_all_else():
    found = wrong(lines=[LINE, {**LINE, "list_price": "0"}, {**LINE, "part": "c", "kind": "unheard"}])
    assert sorted(found) == ["lines.1.list_price", "lines.1.part", "lines.2.kind"]


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("part,kind,unit,price\na,server,system,1\n", "lines", "no column 'price'"),
        ("part,kind,list_price\na,server,1\n", "lines", "column unit is missing"),
        ("part,kind,unit,unit\na,server,x,y\n", "lines", "twice"),
        (f'{ROWS}"a,server\n', "lines", "no table"),
        (ROWS + "a,server,system,1,,\n" * (MOST_LINES + 1), "lines", "at most"),
        ("", "lines", "column part is missing"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(text, field, words):
    with pytest.raises(InvalidRequestError, match=words) as refused:
        table(text)
    assert refused.value.detail.errors[0].field == field


def test_a_row_with_too_many_cells_is_told_with_all_other_rows():
    with pytest.raises(ValidationError) as refused:
        table(f"{ROWS}a,server,system,1,,,more\nb,unheard,system,1,,\n")
    assert [(error.field, error.message[:8]) for error in field_errors(refused.value.messages)] == [
        ("lines.0", "Row 2 of"),
        ("lines.1.kind", "Row 3 of"),
    ]


def test_the_query_is_the_head_of_a_table():
    row = f"{ROWS}a,server,system,1,,\n"
    assert table(row, {**HEAD, "indicative": "true"}).indicative is True
    assert table(row, {**HEAD, "name": "true"}).name == "true"
    with pytest.raises(ValidationError) as refused:
        table(row, {"name": "list", "currency": "USD", "indicative": "yes", "nmae": "x"})
    assert sorted(error.field for error in field_errors(refused.value.messages)) == ["date", "indicative", "nmae"]


@pytest.mark.parametrize("price", ["abc", '"1.234,56"', '"$300,000"'])
def test_a_table_is_told_what_a_cell_must_look_like(price):
    with pytest.raises(ValidationError) as refused:
        table(f"part,kind,unit,list_price\na,server,piece,{price}\n")
    [told] = field_errors(refused.value.messages)
    assert "without currency sign or thousands separator" in told.message
    assert "leave it empty" in told.message
    assert "null" not in f"{told.message}{told.limit}"
