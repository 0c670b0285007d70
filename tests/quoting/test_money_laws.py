"""Laws of money: sums are sums of lines, nothing depends on order, and nothing appears for what has no price."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from service.quoting.bom_rules import Charge
from service.quoting.currency import MINOR_DIGITS
from service.quoting.pricing import price
from service.quoting.terms import ExtraCharge, FxRate
from tests.build import bom, bom_line, quote_terms, seller_book, yearly_line

PRICES = st.decimals(min_value="0.0001", max_value="99999", places=4)
SHARES = st.decimals(min_value=0, max_value=1, places=6)
RATES = st.decimals(min_value="0.000001", max_value="999", places=8)
RELAXED = settings(max_examples=60, deadline=None)
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])


@st.composite
def lines(draw):
    """Up to twelve lines of unlike parts, some of them yearly."""
    made = []
    for place in range(draw(st.integers(1, 12))):
        build = draw(st.sampled_from([bom_line, yearly_line]))
        changes = {"id": f"line-{place}", "part": f"part-{place}", "quantity": draw(st.integers(0, 10_000))}
        if build is yearly_line:
            changes["months"] = draw(st.integers(0, 120))
        made.append(build(**changes))
    return tuple(made)


def units_of(made):
    return {line.part: line.unit for line in made}


@st.composite
def quotes(draw):
    """A bill, a book that knows a price of some of its parts, and terms."""
    made = draw(lines())
    prices = {line.part: draw(st.none() | PRICES.map(str)) for line in made}
    currency = draw(CURRENCIES)
    terms = quote_terms(
        currency=currency,
        fx=FxRate(rate=draw(RATES), date="2026-11-28", source="a bank"),
        discount_fraction=draw(SHARES),
        line_discounts=draw(st.dictionaries(st.sampled_from([line.id for line in made]), SHARES, max_size=3)),
        charges=tuple(
            ExtraCharge(name="freight", amount=amount)
            for amount in draw(st.lists(st.integers(0, 10**6).map(Decimal), max_size=3))
        ),
    )
    return bom(*made), seller_book(prices, units=units_of(made)), terms


def exact(line, terms, rate):
    """Extended list and net of a line as fractions."""
    months = Fraction(1) if line.bom.charge is Charge.ONE_TIME else Fraction(line.bom.months, 12)
    gross = Fraction(line.list_price) * Fraction(rate) * line.bom.quantity * months
    share = terms.line_discounts.get(line.bom.id, terms.discount_fraction)
    return gross, gross * (1 - Fraction(share))


def half_up(amount, digits):
    """Rounding of a fraction, written another way."""
    scaled = abs(amount) * Fraction(10) ** digits
    return Fraction(int(scaled + Fraction(1, 2)), 10**digits)


@RELAXED
@given(quotes())
def test_sums_are_sums_of_lines_and_the_total_adds_the_charges(quote):
    priced = price(*quote)
    totals = priced.totals
    for kind, found in ((Charge.ONE_TIME, totals.one_time), (Charge.YEARLY, totals.recurring)):
        mine = [line for line in priced.lines if line.bom.charge is kind and line.extended_net is not None]
        assert found.list_amount == sum(line.extended_list for line in mine)
        assert found.net_amount == sum(line.extended_net for line in mine)
        assert found.discount_amount == found.list_amount - found.net_amount
    assert totals.subtotal == totals.one_time.net_amount + totals.recurring.net_amount
    assert totals.charges_amount == sum(charge.amount for charge in totals.charges)
    assert totals.total == (totals.subtotal + totals.charges_amount if priced.complete else None)


@RELAXED
@given(quotes())
def test_conversion_and_rounding_are_those_of_exact_arithmetic(quote):
    bill, book, terms = quote
    for line in price(bill, book, terms).lines:
        if line.list_price is None:
            continue
        assert Fraction(line.unit_list) == Fraction(line.list_price) * Fraction(terms.fx.rate)
        gross, net = exact(line, terms, terms.fx.rate)
        digits = MINOR_DIGITS[terms.currency]
        assert Fraction(line.extended_list) == half_up(gross, digits)
        assert Fraction(line.extended_net) == half_up(net, digits)
        assert line.extended_discount == line.extended_list - line.extended_net
        assert 0 <= line.extended_discount <= line.extended_list


@RELAXED
@given(quotes())
def test_pricing_again_changes_nothing(quote):
    assert price(*quote) == price(*quote)


@RELAXED
@given(quotes(), st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_no_sum(quote, random):
    bill, book, terms = quote
    shuffled = list(bill.lines)
    random.shuffle(shuffled)
    first, second = price(bill, book, terms), price(bom(*shuffled), book, terms)
    assert first.totals == second.totals
    assert set(first.missing) == set(second.missing)


@RELAXED
@given(quotes())
def test_no_amount_appears_where_there_is_no_price(quote):
    bill, book, terms = quote
    priced = price(bill, book, terms)
    for line in priced.lines:
        found = (line.unit_list, line.unit_net, line.extended_list, line.extended_discount, line.extended_net)
        if book.line(line.bom.part).list_price is None:
            assert found == (None,) * 5
            assert (line.bom.part in priced.missing) == (line.bom.quantity > 0)
        else:
            assert None not in found
    assert priced.complete == (not priced.missing)


@RELAXED
@given(lines(), PRICES)
def test_without_a_discount_net_is_list(made, amount):
    priced = price(
        bom(*made), seller_book({line.part: str(amount) for line in made}, units=units_of(made)), quote_terms()
    )
    assert priced.totals.one_time.discount_amount == priced.totals.recurring.discount_amount == 0
    for line in priced.lines:
        assert line.unit_net == line.unit_list == line.list_price
        assert line.extended_net == line.extended_list


@RELAXED
@given(lines(), PRICES)
def test_a_discount_of_everything_leaves_nothing_to_pay(made, amount):
    book = seller_book({line.part: str(amount) for line in made}, units=units_of(made))
    priced = price(bom(*made), book, quote_terms(discount_fraction=Decimal(1)))
    assert priced.totals.total == 0
    assert priced.complete


def test_a_long_quote_is_priced_whole():
    made = [bom_line(id=f"line-{place}", part=f"part-{place}", quantity=place) for place in range(500)]
    book = seller_book({line.part: "1.005" for line in made}, units=units_of(made))
    priced = price(bom(*made), book, quote_terms())
    # 1.005 x n rounds up where n is odd: half a cent each of 250 times above the exact sum.
    assert priced.totals.total == Decimal("1.005") * sum(range(500)) + Decimal("0.005") * 250
