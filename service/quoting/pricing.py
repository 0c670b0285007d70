"""Prices a bill of materials: exact products, one rounding per line, then sums of rounded lines."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from service.quoting.bom import Bom, BomLine
from service.quoting.bom_rules import Charge
from service.quoting.book import Book, ListPrice
from service.quoting.book_units import same_unit
from service.quoting.currency import EXACT, nothing, rounded
from service.quoting.refusal import refusal
from service.quoting.terms import MOST_AMOUNT, ExtraCharge, QuoteTerms, check_terms, discount_of, rate_of

MONTHS_YEAR = Decimal(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLine:
    """A line with its prices. `list_price` is in the book's currency, everything else in the quote's.

    `unit_*` are exact and of one unit (of a yearly charge: of a year); `extended_*` are of all units and months of the
    line, in whole minor units, and list less discount is net. All are None where the book has no price, never zero.
    """

    bom: BomLine
    list_price: Decimal | None
    unit_list: Decimal | None
    discount_fraction: Decimal
    unit_net: Decimal | None
    extended_list: Decimal | None
    extended_discount: Decimal | None
    extended_net: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """List, discount and net of several lines: sums of their rounded amounts."""

    list_amount: Decimal
    discount_amount: Decimal
    net_amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """`subtotal` is the net of all priced lines, `recurring` over the whole term; `total` adds the charges.

    `total` is None while a part has no price: a sum that lacks parts is no total. Tax is words.
    """

    currency: str
    term_months: int
    one_time: Sum
    recurring: Sum
    subtotal: Decimal
    charges: tuple[ExtraCharge, ...]
    charges_amount: Decimal
    total: Decimal | None
    tax_note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A priced bill; `missing` are the parts that must be bought and have no price, each once."""

    lines: tuple[PricedLine, ...]
    totals: Totals
    missing: tuple[str, ...]
    complete: bool


def price(bom: Bom, book: Book, terms: QuoteTerms) -> Priced:
    """Prices every line of the bill. Raises InvalidRequestError for terms that cannot be, naming each field.

    Extended = round(list price x rate x quantity x months / 12), the same x (1 - discount) for net, halves away from
    zero to the minor unit of ISO 4217; their difference is the discount. Nothing else is rounded.
    """
    check_terms(terms, bom, book)
    lines = tuple(_priced(line, _listed(line, book), terms) for line in bom.lines)
    missing = tuple(dict.fromkeys(line.bom.part for line in lines if line.bom.quantity and line.list_price is None))
    return Priced(
        lines=lines, totals=_totals(lines, terms, complete=not missing), missing=missing, complete=not missing
    )


def _listed(line: BomLine, book: Book) -> ListPrice | None:
    """The book's line of the part; None where its price is of another unit, which says nothing of this one."""
    listed = book.line(line.part)
    if listed is None or not same_unit(listed.unit, unit=line.unit, kind=line.kind, charge=line.charge):
        return None
    return listed


def _priced(line: BomLine, listed: ListPrice | None, terms: QuoteTerms) -> PricedLine:
    discount = discount_of(terms, line.id)
    line = _with_sku(line, listed)
    if listed is None or listed.list_price is None:
        return PricedLine(
            bom=line,
            list_price=None,
            unit_list=None,
            discount_fraction=discount,
            unit_net=None,
            extended_list=None,
            extended_discount=None,
            extended_net=None,
        )
    unit_list = EXACT.multiply(listed.list_price, rate_of(terms))
    unit_net = EXACT.multiply(unit_list, 1 - discount)
    gross = rounded(_extended(unit_list, line), terms.currency)
    net = rounded(_extended(unit_net, line), terms.currency)
    if gross > MOST_AMOUNT:
        limit = f"at most {MOST_AMOUNT:,}"
        message = f"Comes to more than a quote can hold ({limit}); look at price, rate and quantity."
        raise refusal(f"lines.{line.id}", message, value=gross, limit=limit)
    return PricedLine(
        bom=line,
        list_price=listed.list_price,
        unit_list=unit_list,
        discount_fraction=discount,
        unit_net=unit_net,
        extended_list=gross,
        extended_discount=gross - net,
        extended_net=net,
    )


def _extended(unit: Decimal, line: BomLine) -> Decimal:
    pieces = EXACT.multiply(unit, line.quantity)
    if line.charge is Charge.ONE_TIME:
        return pieces
    return EXACT.divide(EXACT.multiply(pieces, line.months), MONTHS_YEAR)


def _with_sku(line: BomLine, listed: ListPrice | None) -> BomLine:
    """The seller's own SKU wins over a public one; what the book says of the part is what the price is of."""
    if listed is None:
        return line
    if listed.note:
        line = dataclasses.replace(line, configuration=(*line.configuration, f"Priced as: {listed.note}"))
    return line if listed.sku is None else dataclasses.replace(line, sku=listed.sku, orderable=True)


def _totals(lines: tuple[PricedLine, ...], terms: QuoteTerms, *, complete: bool) -> Totals:
    one_time = _sum((line for line in lines if line.bom.charge is Charge.ONE_TIME), terms.currency)
    recurring = _sum((line for line in lines if line.bom.charge is Charge.YEARLY), terms.currency)
    subtotal = one_time.net_amount + recurring.net_amount
    charges = tuple(
        dataclasses.replace(charge, amount=rounded(charge.amount, terms.currency)) for charge in terms.charges
    )
    charged = sum((charge.amount for charge in charges), nothing(terms.currency))
    return Totals(
        currency=terms.currency,
        term_months=terms.term_months,
        one_time=one_time,
        recurring=recurring,
        subtotal=subtotal,
        charges=charges,
        charges_amount=charged,
        total=subtotal + charged if complete else None,
        tax_note=terms.tax_note,
    )


def _sum(lines: Iterable[PricedLine], currency: str) -> Sum:
    gross = discount = net = nothing(currency)
    for line in lines:
        if line.extended_list is None or line.extended_discount is None or line.extended_net is None:
            continue
        gross, discount, net = gross + line.extended_list, discount + line.extended_discount, net + line.extended_net
    return Sum(list_amount=gross, discount_amount=discount, net_amount=net)
