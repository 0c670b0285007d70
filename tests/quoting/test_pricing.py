"""Prices: one rounding per line, one-time and recurring apart, gaps named and never zero, wrong terms refused."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.errors import InvalidRequestError
from service.quoting.book import ListPrice, installation_book
from service.quoting.prices import PartKind
from service.quoting.pricing import price
from service.quoting.terms import ExtraCharge, FxRate
from tests.build import bom, bom_line, quote_terms, seller_book, yearly_line

EUR = FxRate(rate=Decimal("0.9234567"), date="2026-11-28", source="the central bank")


def amounts(line):
    return tuple(None if value is None else str(value) for value in (line.extended_list, line.extended_net))


def wrong_fields(bill, book, terms):
    with pytest.raises(InvalidRequestError) as refused:
        price(bill, book, terms)
    return {error.field: error for error in refused.value.detail.errors}


def test_a_yearly_price_runs_for_the_months_of_the_line():
    bill = bom(yearly_line(quantity=3, months=30))
    [line] = price(bill, seller_book({"support": "1000"}), quote_terms()).lines
    assert amounts(line) == ("7500.00", "7500.00")


def test_one_time_and_recurring_are_summed_apart():
    bill = bom(bom_line(quantity=2), yearly_line())
    totals = price(bill, seller_book({"server": "100000", "support": "5000"}), quote_terms()).totals
    assert totals.one_time.net_amount == Decimal("200000.00")
    assert totals.recurring.net_amount == Decimal("15000.00")
    assert totals.subtotal == totals.total == Decimal("215000.00")


def test_rounding_is_once_per_line_and_sums_are_of_rounded_lines():
    bill = bom(*(bom_line(id=f"l{place}", part="screw") for place in range(3)))
    totals = price(bill, seller_book({"screw": "0.0149"}), quote_terms()).totals
    assert totals.subtotal == Decimal("0.03")


def test_discount_is_list_less_net_and_units_stay_exact():
    bill = bom(bom_line(quantity=3))
    terms = quote_terms(currency="EUR", fx=EUR, discount_fraction=Decimal("0.125"))
    [line] = price(bill, seller_book({"server": "325000"}), terms).lines
    assert line.list_price == Decimal(325000)
    assert line.unit_list == Decimal("300123.4275")
    assert line.unit_net == Decimal("262607.99906250")
    assert amounts(line) == ("900370.28", "787824.00")
    assert line.extended_discount == line.extended_list - line.extended_net


def test_a_part_keeps_its_own_discount_instead_of_the_quotes():
    bill = bom(bom_line(), bom_line(id="rack", part="rack"))
    terms = quote_terms(discount_fraction=Decimal("0.1"), line_discounts={"rack": Decimal("0.5")})
    first, second = price(bill, seller_book({"server": "100", "rack": "100"}), terms).lines
    assert (first.extended_net, second.extended_net) == (Decimal("90.00"), Decimal("50.00"))


@pytest.mark.parametrize(("currency", "expected"), [("JPY", "1001"), ("KWD", "1000.500"), ("EUR", "1000.50")])
def test_amounts_have_the_minor_units_of_their_currency(currency, expected):
    fx = FxRate(rate=Decimal(1), date="2026-11-28", source="a treaty")
    [line] = price(bom(bom_line()), seller_book({"server": "1000.5"}), quote_terms(currency=currency, fx=fx)).lines
    assert str(line.extended_net) == expected


@pytest.mark.parametrize("prices", [{}, {"server": None}])
def test_a_part_without_a_price_is_missing_and_never_zero(prices):
    bill = bom(bom_line(), yearly_line())
    priced = price(bill, seller_book({**prices, "support": "10"}), quote_terms())
    assert priced.lines[0].extended_net is None
    assert priced.missing == ("server",)
    assert not priced.complete
    assert priced.totals.total is None
    assert priced.totals.subtotal == Decimal("30.00")


def test_what_is_not_bought_needs_no_price():
    bill = bom(bom_line(quantity=0, included_quantity=4))
    priced = price(bill, seller_book({}), quote_terms())
    assert priced.complete
    assert priced.totals.total == Decimal("0.00")


def test_charges_stand_beside_the_parts_and_get_no_discount():
    terms = quote_terms(
        discount_fraction=Decimal("0.5"), charges=(ExtraCharge(name="Freight", amount=Decimal("12.5")),)
    )
    totals = price(bom(bom_line()), seller_book({"server": "100"}), terms).totals
    assert (totals.subtotal, totals.charges_amount, totals.total) == (Decimal(50), Decimal("12.5"), Decimal("62.5"))
    assert str(totals.charges[0].amount) == "12.50"


def test_the_sellers_sku_makes_a_part_orderable():
    book = seller_book({})
    listed = ListPrice(part="server", kind=PartKind.SERVER, unit="server", list_price=Decimal(1), sku="210-AAAA")
    [line] = price(bom(bom_line()), replace(book, lines={"server": listed}), quote_terms()).lines
    assert (line.bom.sku, line.bom.orderable) == ("210-AAAA", True)


def test_the_book_of_the_installation_previews(book):
    found = installation_book(book)
    assert found.indicative
    assert found.line("poweredge-xe9780-b300").list_price == Decimal(325000)
    assert found.line("powerswitch-z9864f-on").list_price is None
    assert found.digest == book.digest


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"discount_fraction": Decimal("1.01")}, "discount_fraction", "0.15 is 15 %"),
        ({"discount_fraction": Decimal("-0.01")}, "discount_fraction", "0 to 1"),
        ({"discount_fraction": Decimal("NaN")}, "discount_fraction", "0 to 1"),
        ({"discount_fraction": Decimal("0.1234567890123")}, "discount_fraction", "12 decimals"),
        ({"line_discounts": {"server": Decimal(2)}}, "line_discounts.server", "0 to 1"),
        ({"line_discounts": {"sever": Decimal("0.1")}}, "line_discounts.sever", "no such line"),
        ({"currency": "EUR"}, "fx", "EUR for one USD"),
        ({"fx": EUR}, "fx", "both in USD"),
        ({"currency": "EUR", "fx": replace(EUR, rate=Decimal(0))}, "fx.rate", "more than 0"),
        ({"currency": "EUR", "fx": replace(EUR, rate=Decimal("Infinity"))}, "fx.rate", "more than 0"),
        ({"term_months": 60}, "term_months", "counted for 36 months"),
        ({"term_months": 0}, "term_months", "1 to 120"),
        ({"charges": (ExtraCharge(name="x", amount=Decimal(-1)),)}, "charges.0.amount", "0 to"),
        ({"charges": (ExtraCharge(name="x", amount=Decimal("0.001")),)}, "charges.0.amount", "2 decimals"),
    ],
)
def test_terms_that_cannot_be_are_refused_with_their_field(changes, field, words):
    errors = wrong_fields(bom(bom_line()), seller_book({"server": "1"}), quote_terms(**changes))
    assert words in errors[field].message


def test_an_unknown_part_gets_the_near_one_and_all_that_is_wrong_is_told_at_once():
    terms = quote_terms(discount_fraction=Decimal(2), line_discounts={"sever": Decimal(3)})
    errors = wrong_fields(bom(bom_line(quantity=-4)), seller_book({"server": "1"}), terms)
    assert errors["line_discounts.sever"].did_you_mean == ("server",)
    assert errors["discount_fraction"].value == "2"
    assert errors["lines.server.quantity"].value == "-4"


@pytest.mark.parametrize("where", ["quote", "book"])
def test_a_currency_that_is_none_is_refused(where):
    book = seller_book({"server": "1"}, currency="ZZZ" if where == "book" else "USD")
    terms = quote_terms(currency="ZZZ" if where == "quote" else "USD")
    assert set(wrong_fields(bom(bom_line()), book, terms)) == {
        "currency" if where == "quote" else "price_book.currency"
    }


def test_a_line_beyond_all_measure_is_refused():
    errors = wrong_fields(bom(bom_line(quantity=10_000)), seller_book({"server": "9999999999999"}), quote_terms())
    assert "lines.server" in errors


def test_what_the_book_says_of_a_part_is_what_the_price_is_of():
    listed = ListPrice(
        part="server", kind=PartKind.SERVER, unit="server", list_price=Decimal(1), note="2 CPUs, 24 x 64 GB"
    )
    book = replace(seller_book({}), lines={"server": listed})
    [line] = price(bom(bom_line(configuration=("GPUs: 8",))), book, quote_terms()).lines
    assert line.bom.configuration == ("GPUs: 8", "Priced as: 2 CPUs, 24 x 64 GB")
