"""A quote is written: parts, prices, ownership, screening and supply come together in a document and its hash."""

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from service.access import Caller
from service.errors import FieldError, InvalidRequestError
from service.planning.quote_sources import Sized, Sources, sources
from service.planning.transact import read
from service.quoting.approval import Approval, approval
from service.quoting.bom import Bom, adjusted, bill_of_materials
from service.quoting.book import Book
from service.quoting.pricing import Priced, price
from service.quoting.quote import (
    QuoteDocument,
    RulesReference,
    RunReference,
    TermsStated,
    book_reference,
    disclaimers_of,
    end_of_validity,
)
from service.quoting.screening import Screening, Shipment, screen
from service.quoting.supply import lead_times_of, supply
from service.quoting.target import target_of
from service.quoting.tco import tco
from service.quoting.terms import QuoteTerms
from service.runtime import Runtime
from service.schemas.digest import canonical_json
from service.schemas.quote import QuoteDocumentSchema
from service.schemas.quote_request import LONGEST_VALIDITY_DAYS, QUOTE_REQUEST, VALID_DAYS, QuoteRequest

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
    runtime: Runtime, caller: Caller, request: QuoteRequest, *, now: datetime, carried: bool = False
) -> Composed:
    """The quote that is asked for, without a number yet; whatever cannot be is refused, and nothing is stored.

    One that is `carried` over from an older revision is fitted to what it finds: what it says of parts that the option
    does not take any more is left out of it, and so is a rate that is not needed any more.
    """
    today = now.astimezone(UTC).date()
    found = read(
        runtime,
        lambda session: sources(session, caller, request, on=today, installation=runtime.price_book),
    )
    if carried:
        request = _fitted(request, _bom(runtime, request, found.sized), found.book)
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
    request, valid_until = _with_validity(request, today=today)
    expires_at = end_of_validity(valid_until, request.time_zone).astimezone(UTC)
    if expires_at <= now:
        raise _wrong("valid_until", f"Its validity would have ended on {valid_until}; give a later day.", valid_until)
    bom, priced = _priced(runtime, request, found)
    needed = approval(priced, runtime.catalog.discount_tiers, caller.role)
    parts = _Parts(request=request, sized=found.sized, book=found.book, bom=bom, priced=priced, approval=needed)
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
    sized: Sized
    book: Book
    bom: Bom
    priced: Priced
    approval: Approval


def _bom(runtime: Runtime, request: QuoteRequest, sized: Sized) -> Bom:
    return bill_of_materials(
        sized.option,
        hardware=runtime.catalog.hardware,
        rules=runtime.catalog.bom_rules,
        term_months=request.term_months,
        spares=request.spares,
    )


def _fitted(request: QuoteRequest, bom: Bom, book: Book) -> QuoteRequest:
    lines, parts = {line.id for line in bom.lines}, {line.part for line in bom.lines}
    return dataclasses.replace(
        request,
        fx=None if request.currency == book.currency else request.fx,
        quantities={name: count for name, count in request.quantities.items() if name in lines},
        line_discounts={name: share for name, share in request.line_discounts.items() if name in parts},
    )


def _priced(runtime: Runtime, request: QuoteRequest, found: Sources) -> tuple[Bom, Priced]:
    bom = adjusted(_bom(runtime, request, found.sized), request.quantities)
    terms = QuoteTerms(
        currency=request.currency,
        term_months=request.term_months,
        fx=request.fx,
        discount_fraction=request.discount_fraction,
        line_discounts=request.line_discounts,
        charges=request.charges,
        tax_note=request.terms.tax_note,
    )
    return bom, price(bom, found.book, terms)


def _document(runtime: Runtime, caller: Caller, parts: _Parts, *, today: date, valid_until: date) -> QuoteDocument:
    request, sized, priced, book = parts.request, parts.sized, parts.priced, parts.book
    deliver_by = None if request.deliver_by is None else date.fromisoformat(request.deliver_by)
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
        option=sized.option,
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
        else tco(priced, sized.option, kind=sized.run.kind, inputs=request.tco, context=runtime.catalog.tco_context),
        export=screened(runtime, shipment_of(request, sized.option.gpu, on=today)),
        supply=supply(
            parts.bom,
            lead_times_of(book),
            ordered_on=today,
            deliver_by=deliver_by,
            context=runtime.catalog.lead_times,
        ),
        assumed=sized.assumed,
        disclaimers=disclaimers_of(priced, parts.bom.uncounted, book),
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


def _with_validity(request: QuoteRequest, *, today: date) -> tuple[QuoteRequest, date]:
    """The request with its validity spelled out, and its last day."""
    if request.valid_until is None:
        days = VALID_DAYS if request.valid_days is None else request.valid_days
        return dataclasses.replace(request, valid_days=days), today + timedelta(days=days)
    last = date.fromisoformat(request.valid_until)
    most = today + timedelta(days=LONGEST_VALIDITY_DAYS)
    if last > most:
        raise _wrong("valid_until", f"Must be at most {most}, {LONGEST_VALIDITY_DAYS} days from today.", last)
    return request, last


def _wrong(field: str, message: str, value: Any) -> InvalidRequestError:
    return InvalidRequestError(
        f"{field}: {message}", errors=(FieldError(field=field, message=message, value=str(value)),)
    )
