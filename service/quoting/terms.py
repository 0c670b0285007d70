"""What a seller asks of a quote's money: currency, exchange rate, discounts, term and charges beside the parts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from service.errors import FieldError
from service.quoting.bom import MOST_MONTHS, Bom
from service.quoting.book import Book
from service.quoting.currency import MINOR_DIGITS, known_currency
from service.quoting.refusal import field_error, near_names, refused

MOST_AMOUNT = Decimal(10) ** 15
MOST_RATE_DIGITS = 12
MOST_CHARGES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FxRate:
    """`rate` units of the quote's currency for one unit of the book's, on an ISO date, from a source."""

    rate: Decimal
    date: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraCharge:
    """An amount of once beside the parts, such as freight, in the quote's currency; no discount touches it."""

    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteTerms:
    """`line_discounts` are by id of the line. A line's own discount takes the place of the quote's; they do not add up.

    `tax_note` is words, no amount.
    """

    currency: str
    term_months: int
    fx: FxRate | None = None
    discount_fraction: Decimal = Decimal(0)
    line_discounts: Mapping[str, Decimal] = field(default_factory=dict)
    charges: tuple[ExtraCharge, ...] = ()
    tax_note: str | None = None


def check_terms(terms: QuoteTerms, bom: Bom, book: Book) -> None:
    """Raises InvalidRequestError with every field that cannot be, each with its value, its limit and the way out."""
    known_currency(terms.currency, field="currency")
    known_currency(book.currency, field="price_book.currency")
    wrong = [*_term(terms, bom), *_discounts(terms, bom), *_rate(terms, book), *_charges(terms), *_quantities(bom)]
    if wrong:
        raise refused(wrong)


def discount_of(terms: QuoteTerms, line_id: str) -> Decimal:
    """The discount of a line: its own, else that of the quote."""
    return terms.line_discounts.get(line_id, terms.discount_fraction)


def rate_of(terms: QuoteTerms) -> Decimal:
    """Units of the quote's currency for one of the book's."""
    return Decimal(1) if terms.fx is None else terms.fx.rate


def _term(terms: QuoteTerms, bom: Bom) -> Iterator[FieldError]:
    limit = f"1 to {MOST_MONTHS} months"
    if not 1 <= terms.term_months <= MOST_MONTHS:
        yield field_error("term_months", f"Must be {limit}.", value=terms.term_months, limit=limit)
    elif terms.term_months != bom.term_months:
        message = f"The parts were counted for {bom.term_months} months; count them again for this term."
        yield field_error("term_months", message, value=terms.term_months)


def _discounts(terms: QuoteTerms, bom: Bom) -> Iterator[FieldError]:
    yield from _share("discount_fraction", terms.discount_fraction)
    ids = [line.id for line in bom.lines]
    for name, share in terms.line_discounts.items():
        if name not in ids:
            of_part = tuple(line.id for line in bom.lines if line.part == name)
            message = "There is no such line; take an id of lines."
            near = of_part or near_names(name, ids)
            yield field_error(f"line_discounts.{name}", message, value=name, near=near)
            continue
        yield from _share(f"line_discounts.{name}", share)


def _share(name: str, share: Decimal) -> Iterator[FieldError]:
    limit = "0 to 1, as a share: 0.15 is 15 %"
    if not share.is_finite() or not 0 <= share <= 1:
        yield field_error(name, f"Must be {limit}.", value=share, limit=limit)
    elif _decimals(share) > MOST_RATE_DIGITS:
        yield field_error(name, f"Must have at most {MOST_RATE_DIGITS} decimals.", value=share)


def _rate(terms: QuoteTerms, book: Book) -> Iterator[FieldError]:
    fx, pair = terms.fx, f"{terms.currency} for one {book.currency}"
    if terms.currency == book.currency:
        if fx is not None:
            message = f"Leave it out: prices and quote are both in {book.currency}."
            yield field_error("fx", message, value=fx.rate)
        return
    if fx is None:
        message = (
            f"The prices are in {book.currency} and the quote in {terms.currency}: give the rate, in {pair}, with its "
            f"date and source, or quote in {book.currency}."
        )
        yield field_error("fx", message)
        return
    limit = f"more than 0, at most 1000000, with at most {MOST_RATE_DIGITS} decimals, in {pair}"
    finite = fx.rate.is_finite()
    if not finite or not 0 < fx.rate <= 1_000_000 or _decimals(fx.rate) > MOST_RATE_DIGITS:
        yield field_error("fx.rate", f"Must be {limit}.", value=fx.rate, limit=limit)


def _charges(terms: QuoteTerms) -> Iterator[FieldError]:
    digits = MINOR_DIGITS[terms.currency]
    limit = f"0 to {MOST_AMOUNT:,}, with at most {digits} decimals in {terms.currency}"
    if len(terms.charges) > MOST_CHARGES:
        yield field_error("charges", f"Must be at most {MOST_CHARGES}.", value=len(terms.charges))
    for place, charge in enumerate(terms.charges):
        amount = charge.amount
        if not amount.is_finite() or not 0 <= amount <= MOST_AMOUNT or _decimals(amount) > digits:
            yield field_error(f"charges.{place}.amount", f"Must be {limit}.", value=amount, limit=limit)


def _quantities(bom: Bom) -> Iterable[FieldError]:
    for line in bom.lines:
        if line.quantity < 0:
            yield field_error(
                f"lines.{line.id}.quantity", "Must not be below 0.", value=line.quantity, limit="0 or more"
            )


def _decimals(amount: Decimal) -> int:
    """Digits behind the point that mean something."""
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
