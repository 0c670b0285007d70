"""Units of price books: a price of another unit is no price, and every part that a rule names is known."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.quoting.bom_rules import Charge
from service.quoting.book import ListPrice
from service.quoting.book_units import known_parts, same_unit
from service.quoting.prices import PartKind
from service.quoting.pricing import price
from tests.build import bom, bom_line, quote_terms, seller_book


@pytest.mark.parametrize("said", ["GPU-year", "gpu_year", "GPU year", "gpu/year"])
def test_spelling_makes_no_other_unit(said):
    assert same_unit(said, unit="GPU-year", kind=PartKind.SOFTWARE, charge=Charge.YEARLY)


@pytest.mark.parametrize("said", ["GPU", "piece", "software", "GPU-36-months", "server-year"])
def test_a_price_of_another_time_is_of_another_unit(said):
    assert not same_unit(said, unit="GPU-year", kind=PartKind.SOFTWARE, charge=Charge.YEARLY)


@pytest.mark.parametrize(("said", "same"), [("piece", True), ("Server", True), ("system", True), ("pack-of-10", False)])
def test_what_is_paid_once_may_be_called_a_piece(said, same):
    assert same_unit(said, unit="server", kind=PartKind.SERVER, charge=Charge.ONE_TIME) is same


def test_a_price_of_another_unit_prices_nothing():
    line = bom_line(id="a", part="a", unit="GPU-year", kind=PartKind.SOFTWARE, charge=Charge.YEARLY, months=36)
    whole_term = ListPrice(part="a", kind=PartKind.SOFTWARE, unit="GPU", list_price=Decimal(13_500))
    book = replace(seller_book({}), lines={"a": whole_term})
    assert price(bom(line), book, quote_terms()).missing == ("a",)
    yearly = replace(book, lines={"a": replace(whole_term, unit="gpu_year")})
    assert price(bom(line), yearly, quote_terms()).totals.total == 40_500


def test_every_part_of_the_catalog_is_known_by_its_unit(catalog):
    known = known_parts(catalog.bom_rules, catalog.hardware)
    assert {server.id for server in catalog.hardware.servers} <= set(known)
    assert {"optic-800g", "cable-400g", "prosupport", "nvidia-ai-enterprise", "rack-19-inch-air"} <= set(known)
    assert (known["prosupport"].unit, known["prosupport"].kind) == ("server-year", PartKind.SUPPORT)


def test_the_installations_book_prices_by_the_units_of_the_rules(catalog, book):
    known = known_parts(catalog.bom_rules, catalog.hardware)
    for part, line in book.lines.items():
        asked = known.get(part)
        if asked is not None:
            assert same_unit(line.unit, unit=asked.unit, kind=asked.kind, charge=asked.charge), part
