"""QuoteDocument: everything that one revision of a quote says; frozen as JSON, it is what a customer signs."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.access import Role
from service.quoting.bom import Uncounted
from service.quoting.book import Book
from service.quoting.pricing import Priced, PricedLine, Totals
from service.quoting.refusal import refusal
from service.quoting.screening import Screening
from service.quoting.supply import Supply
from service.quoting.target import QuoteTarget
from service.quoting.tco import Tco
from service.quoting.terms import FxRate
from service.sizing.result import Assumed, SizingOption

_DIGITS = 6
_SIZED = (
    "Speeds are predictions with the stated confidence, not guarantees; where a configuration was never measured, the "
    "basis says so."
)
_INDICATIVE = (
    "INDICATIVE: prices are from an indicative price book and give orders of magnitude. This is no offer and cannot be "
    "issued."
)
_INCOMPLETE = "INCOMPLETE: these parts have no price and are in no sum: {}."
_STATED = (
    "CHANGED BY HAND: counts of {} are the seller's own. Speed, confidence, power, racks and all other counts are "
    "those of the sizing."
)
_UNCOUNTED = "Not counted, and in no sum: {}."
_UNORDERABLE = "Parts without a SKU cannot be ordered by this list alone."


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """For whom the quote is; `reference` is the customer's own."""

    name: str
    contact: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReference:
    """The sizing that the option is from, and the versions that it was answered under."""

    id: str
    digest: str
    catalog_version: str
    calibration_version: str
    engine_version: str
    kind: str
    workload_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookReference:
    """The price book, without its lines."""

    id: str | None
    name: str
    date: str
    version: int | None
    currency: str
    indicative: bool
    expires: str | None
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesReference:
    """Digests of the rules that counted the parts and tiered the discount; the screening names its own."""

    bom: str
    discounts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsStated:
    """What the seller states in words, and the discount as its tier: None of `approval_role` is that nobody must."""

    payment: str | None
    delivery: str | None
    warranty: str | None
    term_months: int
    discount_fraction: Decimal
    total_discount_fraction: Decimal
    discount_tier: str
    approval_role: Role | None
    approval_why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteDocument:
    """One revision. Dates are ISO; `valid_until` is the last day, in `time_zone`. Nothing of its state is in it."""

    number: str
    revision: int
    customer: Customer
    seller: str
    created_on: str
    issued_on: str | None
    valid_until: str
    time_zone: str
    currency: str
    fx: FxRate | None
    run: RunReference
    target: QuoteTarget
    option: SizingOption
    confidence_fraction: float
    lines: tuple[PricedLine, ...]
    uncounted: tuple[Uncounted, ...]
    totals: Totals
    missing: tuple[str, ...]
    complete: bool
    price_book: BookReference
    rules: RulesReference
    terms: TermsStated
    tco: Tco | None
    export: Screening
    supply: Supply
    assumed: tuple[Assumed, ...]
    disclaimers: tuple[str, ...]


def quote_number(year: int, sequence: int) -> str:
    """Q-2026-000123: numbers of a year in the order in which they were taken."""
    return f"Q-{year:04d}-{sequence:0{_DIGITS}d}"


def book_reference(book: Book) -> BookReference:
    """What a quote says of its price book."""
    return BookReference(
        id=book.id,
        name=book.name,
        date=book.date,
        version=book.version,
        currency=book.currency,
        indicative=book.indicative,
        expires=book.expires,
        digest=book.digest,
    )


def disclaimers_of(priced: Priced, uncounted: tuple[Uncounted, ...], book: Book) -> tuple[str, ...]:
    """What must stand on every answer and document of the quote; the one of the screening stands in the screening."""
    said = [_SIZED]
    if book.indicative:
        said.insert(0, _INDICATIVE)
    stated = [line.bom.name for line in priced.lines if line.bom.stated]
    if stated:
        said.append(_STATED.format(", ".join(stated)))
    if priced.missing:
        said.append(_INCOMPLETE.format(", ".join(priced.missing)))
    if uncounted:
        said.append(_UNCOUNTED.format(", ".join(part.name for part in uncounted)))
    if any(line.bom.quantity and not line.bom.orderable for line in priced.lines):
        said.append(_UNORDERABLE)
    return tuple(said)


def end_of_validity(valid_until: date, time_zone: str) -> datetime:
    """The first moment at which the quote no longer holds: midnight after its last day, where the zone says that is."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        limit = "a time zone of the IANA database, such as Europe/Berlin or UTC"
        raise refusal("time_zone", f"Must be {limit}.", value=time_zone, limit=limit) from None
    return datetime.combine(valid_until + timedelta(days=1), time(), tzinfo=zone)
