"""What a quote counts and on which terms: parts by the rules and the seller's own counts, discounts, validity."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from service.planning.quote_sources import Sized, Sources
from service.quoting.bom import MOST_PIECES, Bom, bill_of_materials
from service.quoting.book import Book
from service.quoting.days import Validity, last_day
from service.quoting.quote import spelled_book
from service.quoting.stated import SERVERS, Site, adjusted, configured, fitting, most_pieces, restated
from service.quoting.terms import QuoteTerms
from service.runtime import Runtime
from service.schemas.quote_request import QuoteRequest
from service.sizing.result import SizingOption
from service.sizing.workload import InferenceWorkload

_NO_SPARES = "none"


def as_sized(request: QuoteRequest, sized: Sized) -> QuoteRequest:
    """The request with what the sizing was told already: where it will stand, by when, and how available."""
    told = sized.question.constraints
    return dataclasses.replace(
        request,
        destination_country=request.destination_country or told.destination_country,
        deliver_by=request.deliver_by or told.deliver_by,
        spares=_spares(request, sized),
    )


def _spares(request: QuoteRequest, sized: Sized) -> str:
    """What cold spares are for: what is asked, else the availability of the question; a training has none."""
    workload = sized.question.workload
    asked = workload.availability.value if isinstance(workload, InferenceWorkload) else _NO_SPARES
    return request.spares or asked


def site_of(runtime: Runtime, sized: Sized) -> Site:
    """What another number of servers is planned with."""
    catalog = runtime.catalog
    return Site(hardware=catalog.hardware, constraints=sized.question.constraints, calibration=catalog.calibration)


def bom_of(runtime: Runtime, request: QuoteRequest, sized: Sized, option: SizingOption) -> Bom:
    """The parts of what is quoted: by the rules, then with the counts that the seller states."""
    rules, spares = runtime.catalog.bom_rules, _spares(request, sized)
    counted = bill_of_materials(
        option,
        hardware=runtime.catalog.hardware,
        rules=rules,
        term_months=request.term_months,
        spares=spares,
    )
    made = adjusted(counted, request.quantities, sized=sized.option.servers, rules=rules, spares=spares)
    return configured(made, request.configurations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What an older revision was of: parts of its lines by their ids; and discounts of lines that are asked anew."""

    parts: Mapping[str, str]
    line_discounts: Mapping[str, Decimal] | None = None


def fitted(runtime: Runtime, request: QuoteRequest, found: Sources, carried: Carried) -> QuoteRequest:
    """What an older revision asked, without what is not of the same part any more or cannot be any more."""
    option, site = found.sized.option, site_of(runtime, found.sized)
    quantities = request.quantities if fitting(option, request.quantities, site) else {}
    plain = bom_of(
        runtime,
        dataclasses.replace(request, quantities={}, configurations={}),
        found.sized,
        restated(option, quantities, site),
    )
    most = {line.id: most_pieces(line) for line in plain.lines if carried.parts.get(line.id) == line.part}
    # What no rule counts is a line only where the seller has counted it.
    by_hand = [part for part in plain.uncounted if part.id in quantities]
    most |= {part.id: MOST_PIECES for part in by_hand if carried.parts.get(part.id) == part.part}
    last = None if found.book.expires is None else date.fromisoformat(found.book.expires)
    until = day_of(request.valid_until)
    return dataclasses.replace(
        request,
        fx=None if request.currency == found.book.currency else request.fx,
        quantities={
            name: count
            for name, count in quantities.items()
            if name in most and (name == SERVERS or count <= most[name])
        },
        line_discounts={name: share for name, share in request.line_discounts.items() if name in most}
        if carried.line_discounts is None
        else carried.line_discounts,
        configurations={name: text for name, text in request.configurations.items() if name in most},
        valid_until=request.valid_until if until is None or last is None else min(until, last).isoformat(),
    )


def terms_of(request: QuoteRequest) -> QuoteTerms:
    """What is asked of the quote's money."""
    return QuoteTerms(
        currency=request.currency,
        term_months=request.term_months,
        fx=request.fx,
        discount_fraction=request.discount_fraction,
        line_discounts=request.line_discounts,
        charges=request.charges,
        tax_note=request.terms.tax_note,
    )


def with_validity(request: QuoteRequest, book: Book, *, today: date) -> tuple[QuoteRequest, date]:
    """The request with its validity spelled out, and its last day."""
    asked = Validity(until=day_of(request.valid_until), days=request.valid_days)
    name = spelled_book(book.name, book.version)
    last = last_day(asked, today=today, prices_until=day_of(book.expires), book=name)
    if request.valid_until is not None or last == today:
        return dataclasses.replace(request, valid_days=None, valid_until=last.isoformat()), last
    return dataclasses.replace(request, valid_days=(last - today).days), last


def rate_day(request: QuoteRequest) -> date | None:
    """The day of the exchange rate, where there is one."""
    return None if request.fx is None else day_of(request.fx.date)


def day_of(day: str | None) -> date | None:
    """The day that an ISO date writes."""
    return None if day is None else date.fromisoformat(day)
