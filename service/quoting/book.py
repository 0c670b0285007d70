"""The book that a quote is priced from: list prices in one currency, with SKUs and lead times where it has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from service.quoting.prices import PartKind, PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPrice:
    """The list price of one `unit` of a part; of a yearly charge that of a year. None: the book knows no price."""

    part: str
    kind: PartKind
    unit: str
    list_price: Decimal | None
    sku: str | None = None
    lead_time_weeks: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A seller's book, or an indicative one. `id` is None for a book of the installation; `digest` is of its content.

    `date` [ISO] is the day that its prices and lead times are of, `expires` its last day, None where it states none.
    """

    id: str | None
    name: str
    date: str
    version: int | None
    currency: str
    indicative: bool
    digest: str
    lines: Mapping[str, ListPrice]
    expires: str | None = None

    def line(self, part: str) -> ListPrice | None:
        """The line of a part; None when the book does not know it."""
        return self.lines.get(part)


def installation_book(book: PriceBook) -> Book:
    """The price book of the installation as a book that previews a quote."""
    return Book(
        id=None,
        name=book.name,
        date=book.date,
        version=None,
        currency=book.currency,
        indicative=book.indicative,
        digest=book.digest,
        lines={
            part: ListPrice(part=part, kind=line.kind, unit=line.unit, list_price=line.list_price_usd, note=line.note)
            for part, line in book.lines.items()
        },
    )
