"""A long quote, priced again and again: what a recalculation costs without its database."""

from collections.abc import Callable
from decimal import Decimal

from service.quoting.bom import Bom, BomLine
from service.quoting.bom_rules import Charge
from service.quoting.book import Book, ListPrice
from service.quoting.prices import PartKind
from service.quoting.pricing import Priced, price
from service.quoting.terms import FxRate, QuoteTerms

_MONTHS = 36


def quote_call(lines: int) -> Callable[[], Priced]:
    """Prices a bill of that many parts, every other one by the year, in another currency and with a discount."""
    bill = Bom(
        lines=tuple(_line(place) for place in range(lines)),
        uncounted=(),
        term_months=_MONTHS,
        rules_digest="",
    )
    book = Book(
        id=None,
        name="bench",
        date="2026-11-29",
        version=None,
        currency="USD",
        indicative=False,
        digest="",
        lines={line.part: _listed(line.part, place) for place, line in enumerate(bill.lines)},
    )
    terms = QuoteTerms(
        currency="EUR",
        term_months=_MONTHS,
        fx=FxRate(rate=Decimal("0.92345678"), date="2026-11-27", source="bench"),
        discount_fraction=Decimal("0.1234"),
    )
    return lambda: price(bill, book, terms)


def _line(place: int) -> BomLine:
    yearly = bool(place % 2)
    return BomLine(
        id=f"line-{place}",
        rule="bench",
        part=f"part-{place}",
        kind=PartKind.SUPPORT if yearly else PartKind.SERVER,
        name="A part",
        quantity=place,
        unit="piece",
        charge=Charge.YEARLY if yearly else Charge.ONE_TIME,
        months=_MONTHS if yearly else 0,
        sku=None,
        orderable=False,
        why="",
        basis="estimated",
        sources=(),
        configuration=(),
        included_quantity=0,
        included_months=None,
        disputed=None,
        note=None,
    )


def _listed(part: str, place: int) -> ListPrice:
    return ListPrice(part=part, kind=PartKind.SERVER, unit="piece", list_price=Decimal(place) + Decimal("0.55"))
