"""Values that differ, as people read them: a number as one, and a text as it was typed, whatever it looks like."""

from decimal import Decimal

import pytest

from service.web.change_words import told_price, told_value


@pytest.mark.parametrize("text", ["4500012345", "007", "12e34567", "1e9999999", "Infinity", "sNaN", "0.50"])
@pytest.mark.parametrize("name", ["customer.reference", "customer.name", "run.catalog_version"])
def test_a_text_that_looks_like_a_number_stays_as_it_is(text, name):
    assert told_price(text, name, "USD") == text


def test_prices_of_a_revision_are_in_its_currency():
    assert told_price(Decimal("1000.5"), "unit_net", "EUR").replace("\N{NO-BREAK SPACE}", " ") == "1,000.50 EUR"
    assert told_price(Decimal("1.085"), "fx.rate", "EUR") == "1.085"
    assert told_price("one_time", "charge", "EUR") == "one time"
    assert told_price(None, "unit_net", "EUR") == "nothing"


@pytest.mark.parametrize(
    ("value", "name", "told"),
    [(12480, "option.gpus", "12,480"), (Decimal("0.9234"), "fx.rate", "0.9234"), (Decimal(3), "quantity", "3"),
     (Decimal("0.05"), "discount_fraction", "5 %"), ("1234567.00", "cost.total_usd", "1,234,567"),
     ("12480", "gpus", "12,480"), ("40.25", "facility_power_kw", "40.2 kW"),
     ("over_list", "terms.discount_tier", "over list"),
     (True, "price_book.indicative", "yes"), (None, "customer.name", "nothing"),
     ("2026-11-29", "fx.date", "29 November 2026")],
)  # fmt: skip
def test_numbers_days_and_what_is_not_there_are_told_in_words(value, name, told):
    assert told in told_value(value, name).replace("\N{NO-BREAK SPACE}", " ")
