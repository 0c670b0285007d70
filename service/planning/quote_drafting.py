"""A quote is written: parts, prices, ownership, screening and supply come together in a document and its hash."""

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from service.access import Caller
from service.errors import FieldError, InvalidRequestError
from service.planning.quote_counting import (
    Carried,
    as_sized,
    bom_of,
    day_of,
    fitted,
    rate_day,
    site_of,
    terms_of,
    with_validity,
)
from service.planning.quote_sources import Sized, Sources, sources
from service.planning.transact import read
from service.quoting.approval import Approval, approval
from service.quoting.bom import Bom
from service.quoting.days import wrong_days
from service.quoting.pricing import Priced, price
from service.quoting.quote import (
    Customer,
    QuoteDocument,
    RulesReference,
    RunReference,
    TermsStated,
    assumed_of,
    book_reference,
    disclaimers_of,
    end_of_validity,
    sized_servers,
)
from service.quoting.refusal import refused
from service.quoting.screening import Screening, Shipment, screen
from service.quoting.stated import restated
from service.quoting.supply import Supply, lead_times_of, supply
from service.quoting.target import target_of
from service.quoting.tco import tco
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
    carried: Carried | None = None,
) -> Composed:
    """The quote that is asked for, without a number yet; whatever cannot be is refused, and nothing is stored.

    One that is `carried` over from an older revision is fitted to what it finds:
    what it says of lines that are of another part by now is left out of it, and so is a rate that is not needed.
    """
    today = now.astimezone(UTC).date()
    found = read(
        runtime,
        lambda session: sources(session, caller, request, on=today, installation=runtime.price_book),
    )
    if carried is not None:
        request = fitted(runtime, request, found, carried)
    else:
        wrong = tuple(wrong_days(today=today, rate_of=rate_day(request), deliver_by=day_of(request.deliver_by)))
        if wrong:
            raise refused(wrong)
    return _composed(runtime, caller, as_sized(request, found.sized), found, today=today, now=now)


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
    request, valid_until = with_validity(request, found.book, today=today)
    expires_at = end_of_validity(valid_until, request.time_zone).astimezone(UTC)
    if expires_at <= now:
        raise _wrong("valid_until", f"Its validity would have ended on {valid_until}; give a later day.", valid_until)
    option = restated(found.sized.option, request.quantities, site_of(runtime, found.sized))
    bom = bom_of(runtime, request, found.sized, option)
    priced = price(bom, found.book, terms_of(request))
    export = screened(runtime, shipment_of(request, option.gpu, on=today))
    needed = approval(priced, runtime.catalog.discount_tiers, caller.role, export)
    parts = _Parts(request=request, found=found, option=option, bom=bom, priced=priced, export=export, approval=needed)
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
    export: Screening
    approval: Approval


def _document(runtime: Runtime, caller: Caller, parts: _Parts, *, today: date, valid_until: date) -> QuoteDocument:
    request, sized, priced, book = parts.request, parts.found.sized, parts.priced, parts.found.book
    counted = sized_servers(sized.option)
    supplied = _supply(runtime, parts, today=today)
    return QuoteDocument(
        number="",
        revision=0,
        customer=request.customer,
        seller=caller.principal,
        offered_by=request.seller or Customer(name=parts.found.tenant),
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
        export=parts.export,
        supply=supplied,
        assumed=assumed_of(parts.option, sized.assumed),
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
        deliver_by=day_of(parts.request.deliver_by),
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


def _wrong(field: str, message: str, value: Any) -> InvalidRequestError:
    return InvalidRequestError(
        f"{field}: {message}", errors=(FieldError(field=field, message=message, value=str(value)),)
    )
