"""QuoteDocument: everything that one revision of a quote says; frozen as JSON, it is what a customer signs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.access import Role
from service.quoting.bom import Uncounted
from service.quoting.book import Book
from service.quoting.days import age_of_rate
from service.quoting.pricing import Priced, PricedLine, Totals
from service.quoting.refusal import refusal
from service.quoting.screening import Screening
from service.quoting.supply import Delivery, Supply
from service.quoting.target import QuoteTarget
from service.quoting.tco import Tco
from service.quoting.terms import FxRate
from service.sizing.result import Assumed, SizingOption

_DIGITS = 6
_FORMAT = "workload.weight_precision"
_JUDGED_BY_THE_QUOTE = frozenset({"constraints.deliver_by", "constraints.destination_country"})
_SIZED = (
    "Speeds are predictions with the stated confidence, not guarantees; where a configuration was never measured, the "
    "basis says so."
)
_INDICATIVE = (
    "INDICATIVE: prices are from an indicative price book and give orders of magnitude. This is no offer and cannot be "
    "issued."
)
_INCOMPLETE = "INCOMPLETE: these parts have no price and are in no sum: {}."
_STATED = "CHANGED BY HAND: counts of {} are the seller's own."
_RESTATED = (
    " {} servers are quoted where the sizing counts {}: power, racks, networks and all that is counted by servers are "
    "of {}; speed and confidence are of the {} at work."
)
_LATE = "LATE: delivery is wished by {}, and by the seller's lead times {}."
_READY = "{} would be ready on {}"
_PERHAPS_LATE = "Nobody states a lead time of {}, so whether all can be delivered by {} is not known."
_PAST = "LATE: delivery is wished by {}, and this quote was written after that day."
_REPLACED = "REPLACED PRICES: {} prices this quote, and {} is in force since {}."
_UNCOUNTED = "Not counted, and in no sum: {}."
_NO_SKU = "Of parts without a SKU no order number is known yet; the seller's price book may name it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """For whom the quote is, or who offers it; `reference` is their own."""

    name: str
    contact: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedServers:
    """Servers as the sizing counts them, before the seller states another number; `spare` are among them."""

    servers: int
    spare_servers: int
    gpus: int


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
class BookInForce:
    """Another book that prices by now, and since when."""

    name: str
    since: str


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
    """One revision. Dates are ISO; `valid_until` is the last day, in `time_zone`. Nothing of its state is in it.

    `seller` is the principal that wrote it, `offered_by` who the paper says offers it. `option` is what is quoted: with
    the servers that the seller states, and `sized` are those of the sizing.
    """

    number: str
    revision: int
    customer: Customer
    seller: str
    offered_by: Customer
    created_on: str
    issued_on: str | None
    valid_until: str
    time_zone: str
    currency: str
    fx: FxRate | None
    run: RunReference
    target: QuoteTarget
    option: SizingOption
    sized: SizedServers
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


def sized_servers(option: SizingOption) -> SizedServers:
    """The servers of an option as it was sized."""
    return SizedServers(servers=option.servers, spare_servers=option.spare_servers, gpus=option.gpus)


def assumed_of(option: SizingOption, assumed: tuple[Assumed, ...]) -> tuple[Assumed, ...]:
    """What the sizing assumed of this option.

    What it left to the quote the quote answers.
    """
    return tuple(one for one in assumed_with(option, assumed) if one.field not in _JUDGED_BY_THE_QUOTE)


def assumed_with(option: SizingOption, assumed: tuple[Assumed, ...]) -> tuple[Assumed, ...]:
    """What an answer assumed that goes for this option: of the formats that it chose, for each of its options, its own.

    An answer lists one for every format that any of its options has.
    """
    return tuple(one for one in assumed if one.field != _FORMAT or option.weight_precision in {None, one.value})


def disclaimers_of(
    priced: Priced,
    uncounted: tuple[Uncounted, ...],
    book: Book,
    *,
    sized: SizedServers,
    option: SizingOption,
    supply: Supply,
    fx: FxRate | None = None,
    in_force: BookInForce | None = None,
) -> tuple[str, ...]:
    """What must stand on every answer and document of the quote; the one of the screening stands in the screening.

    What begins with words in capitals must be seen first. `in_force` is another book that is in force instead.
    """
    today = date.fromisoformat(supply.ordered_on)
    stated = [line.bom.name for line in priced.lines if line.bom.stated]
    found = [
        _INDICATIVE if book.indicative else None,
        _INCOMPLETE.format(_named(priced.missing, priced)) if priced.missing else None,
        _STATED.format(", ".join(stated)) + _servers_in_words(sized, option) if stated else None,
        _late(supply, today, priced),
        None if fx is None else age_of_rate(date.fromisoformat(fx.date), today),
        None
        if in_force is None
        else _REPLACED.format(spelled_book(book.name, book.version), in_force.name, in_force.since),
        _SIZED,
        _UNCOUNTED.format(", ".join(part.name for part in uncounted)) if uncounted else None,
        _NO_SKU if any(line.bom.quantity and not line.bom.orderable for line in priced.lines) else None,
        _PERHAPS_LATE.format(_named(supply.without_lead_time, priced), supply.deliver_by)
        if supply.delivery is Delivery.UNKNOWN
        else None,
    ]
    return tuple(text for text in found if text is not None)


def _named(parts: Iterable[str], priced: Priced) -> str:
    """Parts by what people call them."""
    names = {line.bom.part: line.bom.name for line in reversed(priced.lines)}
    return ", ".join(names.get(part, part) for part in parts)


def spelled_book(name: str, version: int | None) -> str:
    """A price book as people name it."""
    return name if version is None else f"{name}, version {version}"


def _servers_in_words(sized: SizedServers, option: SizingOption) -> str:
    if option.servers == sized.servers:
        return ""
    work = sized.servers - sized.spare_servers
    return _RESTATED.format(f"{option.servers:,}", f"{sized.servers:,}", f"{option.servers:,}", f"{work:,}")


def _late(supply: Supply, today: date, priced: Priced) -> str | None:
    if supply.deliver_by is not None and date.fromisoformat(supply.deliver_by) < today:
        return _PAST.format(supply.deliver_by)
    late = [part for part in supply.parts if part.late]
    if not late:
        return None
    # Parts that are ready on one day are told together, those that are waited for longest first.
    days = sorted({part.ready_on or "" for part in late}, reverse=True)
    told = (_READY.format(_named((part.part for part in late if part.ready_on == day), priced), day) for day in days)
    return _LATE.format(supply.deliver_by, "; ".join(told))


def end_of_validity(valid_until: date, time_zone: str) -> datetime:
    """The first moment at which the quote no longer holds: midnight after its last day, where the zone says that is."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        limit = "a time zone of the IANA database, such as Europe/Berlin or UTC"
        raise refusal("time_zone", f"Must be {limit}.", value=time_zone, limit=limit) from None
    return datetime.combine(valid_until + timedelta(days=1), time(), tzinfo=zone)
