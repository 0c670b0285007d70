"""A quote is written: parts, prices, ownership, screening and supply come together in a document and its hash."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from service.access import Caller
from service.errors import FieldError, InvalidRequestError
from service.planning.quote_sources import Sized, Sources, sources
from service.planning.transact import read
from service.quoting.approval import Approval, approval
from service.quoting.bom import Bom, bill_of_materials
from service.quoting.book import Book
from service.quoting.days import Validity, last_day, wrong_days
from service.quoting.pricing import Priced, price
from service.quoting.quote import (
    QuoteDocument,
    RulesReference,
    RunReference,
    TermsStated,
    book_reference,
    disclaimers_of,
    end_of_validity,
    sized_servers,
    spelled_book,
)
from service.quoting.refusal import refused
from service.quoting.screening import Screening, Shipment, screen
from service.quoting.stated import SERVERS, Site, adjusted, fitting, most_pieces, restated
from service.quoting.supply import Supply, lead_times_of, supply
from service.quoting.target import target_of
from service.quoting.tco import tco
from service.quoting.terms import QuoteTerms
from service.runtime import Runtime
from service.schemas.digest import canonical_json
from service.schemas.quote import QuoteDocumentSchema
from service.schemas.quote_request import QUOTE_REQUEST, QuoteRequest
from service.sizing.result import SizingOption

_DOCUMENT = QuoteDocumentSchema()


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A quote that is found to be possible, and has no number yet."""

    request: str
    document: QuoteDocument
    approval: Approval
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenQuote(Composed):
    """A quote that may be stored. `snapshot` are the bytes that are hashed, approved and issued."""

    snapshot: bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a revision is called, and since when there is one of it."""

    number: str
    revision: int
    created_on: date


def compose(
    runtime: Runtime,
    caller: Caller,
    request: QuoteRequest,
    *,
    now: datetime,
    carried: Mapping[str, str] | None = None,
) -> Composed:
    """The quote that is asked for, without a number yet; whatever cannot be is refused, and nothing is stored.

    One that is `carried` over from an older revision (the parts of its lines by their ids) is fitted to what it finds:
    what it says of lines that are of another part by now is left out of it, and so is a rate that is not needed.
    """
    today = now.astimezone(UTC).date()
    found = read(
        runtime,
        lambda session: sources(session, caller, request, on=today, installation=runtime.price_book),
    )
    if carried is not None:
        request = _fitted(runtime, request, found, carried)
    else:
        wrong = tuple(wrong_days(today=today, rate_of=_rate_day(request), deliver_by=_day(request.deliver_by)))
        if wrong:
            raise refused(wrong)
    return _composed(runtime, caller, request, found, today=today, now=now)


def named(composed: Composed, identity: Identity) -> WrittenQuote:
    """The quote under its number and revision."""
    document = dataclasses.replace(
        composed.document,
        number=identity.number,
        revision=identity.revision,
        created_on=identity.created_on.isoformat(),
    )
    snapshot = canonical_json(_DOCUMENT.dump(document))
    return WrittenQuote(
        request=composed.request,
        document=document,
        approval=composed.approval,
        expires_at=composed.expires_at,
        snapshot=snapshot,
        sha256=sha256_of(snapshot),
    )


def sha256_of(snapshot: bytes) -> str:
    """`sha256:` and the hexadecimal hash of the bytes."""
    return f"sha256:{hashlib.sha256(snapshot).hexdigest()}"


def _composed(
    runtime: Runtime, caller: Caller, request: QuoteRequest, found: Sources, *, today: date, now: datetime
) -> Composed:
    request, valid_until = _with_validity(request, found.book, today=today)
    expires_at = end_of_validity(valid_until, request.time_zone).astimezone(UTC)
    if expires_at <= now:
        raise _wrong("valid_until", f"Its validity would have ended on {valid_until}; give a later day.", valid_until)
    option = restated(found.sized.option, request.quantities, _site(runtime, found.sized))
    bom = _bom(runtime, request, found.sized, option)
    priced = price(bom, found.book, _terms(request))
    needed = approval(priced, runtime.catalog.discount_tiers, caller.role)
    parts = _Parts(request=request, found=found, option=option, bom=bom, priced=priced, approval=needed)
    document = _document(runtime, caller, parts, today=today, valid_until=valid_until)
    return Composed(
        request=canonical_json(QUOTE_REQUEST.dump(request)).decode(),
        document=document,
        approval=needed,
        expires_at=expires_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    request: QuoteRequest
    found: Sources
    option: SizingOption
    bom: Bom
    priced: Priced
    approval: Approval


def _site(runtime: Runtime, sized: Sized) -> Site:
    catalog = runtime.catalog
    return Site(hardware=catalog.hardware, constraints=sized.question.constraints, calibration=catalog.calibration)


def _bom(runtime: Runtime, request: QuoteRequest, sized: Sized, option: SizingOption) -> Bom:
    """The parts of what is quoted: by the rules, then with the counts that the seller states."""
    rules = runtime.catalog.bom_rules
    counted = bill_of_materials(
        option,
        hardware=runtime.catalog.hardware,
        rules=rules,
        term_months=request.term_months,
        spares=request.spares,
    )
    return adjusted(counted, request.quantities, sized=sized.option.servers, rules=rules, spares=request.spares)


def _fitted(runtime: Runtime, request: QuoteRequest, found: Sources, carried: Mapping[str, str]) -> QuoteRequest:
    """What an older revision asked, without what is not of the same part any more or cannot be any more."""
    option, site = found.sized.option, _site(runtime, found.sized)
    quantities = request.quantities if fitting(option, request.quantities, site) else {}
    plain = _bom(runtime, dataclasses.replace(request, quantities={}), found.sized, restated(option, quantities, site))
    most = {line.id: most_pieces(line) for line in plain.lines if carried.get(line.id) == line.part}
    last = None if found.book.expires is None else date.fromisoformat(found.book.expires)
    until = _day(request.valid_until)
    return dataclasses.replace(
        request,
        fx=None if request.currency == found.book.currency else request.fx,
        quantities={
            name: count
            for name, count in quantities.items()
            if name in most and (name == SERVERS or count <= most[name])
        },
        line_discounts={name: share for name, share in request.line_discounts.items() if name in most},
        valid_until=request.valid_until if until is None or last is None else min(until, last).isoformat(),
    )


def _terms(request: QuoteRequest) -> QuoteTerms:
    return QuoteTerms(
        currency=request.currency,
        term_months=request.term_months,
        fx=request.fx,
        discount_fraction=request.discount_fraction,
        line_discounts=request.line_discounts,
        charges=request.charges,
        tax_note=request.terms.tax_note,
    )


def _document(runtime: Runtime, caller: Caller, parts: _Parts, *, today: date, valid_until: date) -> QuoteDocument:
    request, sized, priced, book = parts.request, parts.found.sized, parts.priced, parts.found.book
    counted = sized_servers(sized.option)
    supplied = _supply(runtime, parts, today=today)
    return QuoteDocument(
        number="",
        revision=0,
        customer=request.customer,
        seller=caller.principal,
        created_on=today.isoformat(),
        issued_on=None,
        valid_until=valid_until.isoformat(),
        time_zone=request.time_zone,
        currency=request.currency,
        fx=request.fx,
        run=_run_reference(sized),
        target=target_of(sized.question),
        option=parts.option,
        sized=counted,
        confidence_fraction=sized.option.confidence_fraction,
        lines=priced.lines,
        uncounted=parts.bom.uncounted,
        totals=priced.totals,
        missing=priced.missing,
        complete=priced.complete,
        price_book=book_reference(book),
        rules=RulesReference(bom=parts.bom.rules_digest, discounts=runtime.catalog.discount_tiers.digest),
        terms=_terms_stated(parts),
        tco=None
        if request.tco is None
        else tco(priced, parts.option, kind=sized.run.kind, inputs=request.tco, context=runtime.catalog.tco_context),
        export=screened(runtime, shipment_of(request, parts.option.gpu, on=today)),
        supply=supplied,
        assumed=sized.assumed,
        disclaimers=disclaimers_of(
            priced,
            parts.bom.uncounted,
            book,
            sized=counted,
            option=parts.option,
            supply=supplied,
            fx=request.fx,
            in_force=parts.found.in_force,
        ),
    )


def _supply(runtime: Runtime, parts: _Parts, *, today: date) -> Supply:
    return supply(
        parts.bom,
        lead_times_of(parts.found.book),
        ordered_on=today,
        deliver_by=_day(parts.request.deliver_by),
        context=runtime.catalog.lead_times,
    )


def _run_reference(sized: Sized) -> RunReference:
    versions = sized.run.versions
    return RunReference(
        id=sized.run.id,
        digest=sized.run.digest,
        catalog_version=versions.catalog,
        calibration_version=versions.calibration,
        engine_version=versions.engine,
        kind=sized.run.kind,
        workload_name=sized.workload_name,
    )


def _terms_stated(parts: _Parts) -> TermsStated:
    words, needed = parts.request.terms, parts.approval
    return TermsStated(
        payment=words.payment,
        delivery=words.delivery,
        warranty=words.warranty,
        term_months=parts.request.term_months,
        discount_fraction=parts.request.discount_fraction,
        total_discount_fraction=needed.total_discount_fraction,
        discount_tier=needed.tier,
        approval_role=needed.needs,
        approval_why=needed.why,
    )


def shipment_of(request: QuoteRequest, gpu: str, *, on: date) -> Shipment:
    """What is screened: the GPUs of the option, sent where and to whom the seller says."""
    return Shipment(
        parts=(gpu,),
        on=on.isoformat(),
        destination=request.destination_country,
        headquarters=request.end_user.headquarters_country,
        ultimate_parent=request.end_user.ultimate_parent_country,
        exporter=request.exporter_country,
        end_use=request.end_user.end_use,
        listed_owners_fraction=request.end_user.listed_owners_fraction,
    )


def screened(runtime: Runtime, shipment: Shipment) -> Screening:
    """The rules of today's table that match."""
    return screen(shipment, runtime.catalog.export_rules)


def _with_validity(request: QuoteRequest, book: Book, *, today: date) -> tuple[QuoteRequest, date]:
    """The request with its validity spelled out, and its last day."""
    asked = Validity(until=_day(request.valid_until), days=request.valid_days)
    name = spelled_book(book.name, book.version)
    last = last_day(asked, today=today, prices_until=_day(book.expires), book=name)
    if request.valid_until is not None or last == today:
        return dataclasses.replace(request, valid_days=None, valid_until=last.isoformat()), last
    return dataclasses.replace(request, valid_days=(last - today).days), last


def _rate_day(request: QuoteRequest) -> date | None:
    return None if request.fx is None else _day(request.fx.date)


def _day(day: str | None) -> date | None:
    return None if day is None else date.fromisoformat(day)


def _wrong(field: str, message: str, value: Any) -> InvalidRequestError:
    return InvalidRequestError(
        f"{field}: {message}", errors=(FieldError(field=field, message=message, value=str(value)),)
    )
