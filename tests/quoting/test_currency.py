"""Currencies: ISO 4217, rounding to the minor unit, halves away from zero."""

from decimal import Decimal

import pytest
from babel.core import get_global
from babel.numbers import get_territory_currencies

from service.errors import InvalidRequestError
from service.quoting.currency import MINOR_DIGITS, known_currency, nothing, rounded


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("2.675", "USD", "2.68"),
        ("2.665", "USD", "2.67"),
        ("-2.675", "USD", "-2.68"),
        ("2.5", "JPY", "3"),
        ("3.5", "JPY", "4"),
        ("1.0005", "KWD", "1.001"),
        ("12345678901234567890123456789.005", "EUR", "12345678901234567890123456789.01"),
    ],
)
def test_amounts_are_rounded_to_the_minor_unit_of_their_currency(amount, currency, expected):
    assert str(rounded(Decimal(amount), currency)) == expected


def test_nothing_is_written_as_the_currency_writes_it():
    assert [str(nothing(code)) for code in ("USD", "JPY", "KWD")] == ["0.00", "0", "0.000"]


def test_every_currency_in_use_is_known():
    in_use = {code for country in get_global("territory_currencies") for code in get_territory_currencies(country)}
    assert in_use <= set(MINOR_DIGITS)


def test_minor_digits_are_those_of_iso_and_differ_from_everyday_use_in_few():
    # CLDR says how amounts are written in everyday life, ISO 4217 what can be paid; a quote is paid.
    everyday = get_global("currency_fractions")
    differing = {code for code, digits in MINOR_DIGITS.items() if everyday.get(code, (2,))[0] != digits}
    assert " ".join(sorted(differing)) == "AFN ALL COP HUF IDR IQD IRR KPW LAK LBP MGA MMK SOS SYP YER"


@pytest.mark.parametrize("code", ["usd", "XXX", "DEM", "", "EURO"])
def test_what_is_no_currency_is_refused_with_field_value_and_limit(code):
    with pytest.raises(InvalidRequestError) as refused:
        known_currency(code, field="currency")
    [error] = refused.value.detail.errors
    assert (error.field, error.value) == ("currency", code)
    assert "ISO 4217" in error.limit
