"""Amounts, shares and numbers as documents spell them."""

import pytest

from service.documents.spelled import (
    DASH,
    amount,
    counted_in,
    day,
    figure,
    is_rounded,
    percent,
    pieces,
    share,
    unit_price,
    whole,
)


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        ("1234567.5", "USD", "1,234,567.50"),
        ("1234567", "JPY", "1,234,567"),
        ("12.345", "KWD", "12.345"),
        (None, "EUR", DASH),
    ],
)
def test_an_amount_has_the_minor_units_of_its_currency(value, currency, expected):
    assert amount(value, currency) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (437.581, "438"),
        (1209.11, "1,209"),
        (26.24, "26.2"),
        (0.012345, "0.0123"),
        (0, "0"),
        (None, DASH),
        (1.5e6, "1,500,000"),
    ],
)
def test_a_number_has_three_digits_that_matter(value, expected):
    assert figure(value) == expected


def test_shares_prices_of_one_counts_and_days():
    assert share("0.125") == "12.5\N{NO-BREAK SPACE}%"
    assert percent(0.8513) == "85\N{NO-BREAK SPACE}%"
    assert [percent(one) for one in (0.9971, 1.0)] == ["over 99\N{NO-BREAK SPACE}%"] * 2
    assert percent(0.002) == "under 1\N{NO-BREAK SPACE}%"
    assert unit_price("4155.525", "EUR") == "4,155.53"
    assert unit_price("0.01494321", "EUR") == "0.01494"
    assert unit_price("0.5", "JPY") == "0.5"
    assert is_rounded("4155.525", "EUR")
    assert not is_rounded("4155.50", "EUR")
    assert not is_rounded(None, "EUR")
    assert unit_price("300000", "USD") == "300,000.00"
    assert whole(1234) == "1,234"
    assert day("2026-11-29") == "29 November 2026"


@pytest.mark.parametrize(
    ("unit", "number", "expected"),
    [
        ("module", 1, "module"),
        ("module", 4, "modules"),
        ("cable", 6, "cables"),
        ("switch", 2, "switches"),
        ("shelf", 3, "shelves"),
        ("GPU-year", 32, "GPU-years"),
        ("rack", 0, "racks"),
    ],
)
def test_a_unit_is_one_or_several(unit, number, expected):
    assert pieces(unit, number) == expected


@pytest.mark.parametrize(
    ("unit", "number", "months", "expected"),
    [
        ("module", 4, 0, "modules"),
        ("GPU-year", 8, 36, "GPUs \N{MULTIPLICATION SIGN} 3 years"),
        ("server-year", 1, 12, "server \N{MULTIPLICATION SIGN} 1 year"),
        ("GPU-year", 8, 30, "GPUs \N{MULTIPLICATION SIGN} 30 months"),
    ],
)
def test_the_unit_of_a_yearly_line_has_its_years(unit, number, months, expected):
    assert counted_in(unit, number, months) == expected
