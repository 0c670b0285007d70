"""What changed from one revision to another, as it is printed: numbers as numbers, texts as they were typed."""

import io

import pytest
from rich.console import Console

from service.client.quote_changes import print_changes


def printed(quantity, old, new):
    change = {"quantity": quantity, "name": "It", "old": old, "new": new, "change_fraction": None}
    found = {"number": "Q-1", "old_revision": 1, "new_revision": 2, "old_currency": "USD", "new_currency": "EUR",
             "difference": {"lines": [], "sums": [], "causes": [change]}}  # fmt: skip
    told = io.StringIO()
    print_changes(Console(file=told, width=200), found)
    return told.getvalue()


@pytest.mark.parametrize("text", ["4500012345", "007", "12e34567", "Infinity", "sNaN", "0.50"])
@pytest.mark.parametrize("quantity", ["customer.reference", "run.catalog_version"])
def test_a_text_that_looks_like_a_number_stays_as_it_is(quantity, text):
    assert f"It: nothing -> {text}\n" in printed(quantity, None, text)


@pytest.mark.parametrize(
    ("quantity", "old", "new", "told"),
    [("totals.total", "1000.00", "1200000.50", "1,000.00 USD -> 1,200,000.50 EUR"),
     ("unit_list", "0.1234", None, "0.1234 USD -> nothing"), ("discount_fraction", "0.050", "0.125", "5 % -> 12.5 %"),
     ("fx.rate", "0.9200", "1.085", "0.9200 -> 1.085"), ("option.gpus", 1024, 16, "1,024 -> 16"),
     ("tco.total", None, "5.00", "incomplete -> 5.00 EUR"), ("price_book.indicative", True, False, "yes -> no")],
)  # fmt: skip
def test_numbers_and_money_are_told_as_such(quantity, old, new, told):
    assert f"It: {told}\n" in printed(quantity, old, new)
