"""What callers see of quotes: values, detached from any session; what is stored is held against its hash first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from service.errors import DamagedError
from service.planning.quote_drafting import sha256_of
from service.schemas.digest import canonical_json
from service.store.tables.quotes import BEING_WRITTEN, QuoteRow, QuoteState


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """The tier of the discount, who may approve it, and who has; `approved_sha256` is of what was approved."""

    tier: str
    needs: str | None
    approvers: tuple[str, ...]
    why: str
    approved_by: str | None
    approved_at: datetime | None
    approved_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteSummary:
    """A revision without what it says. `state` is that of the moment: validity may have ended before anybody noted."""

    id: str
    number: str
    revision: int
    state: QuoteState
    version: int
    run_id: str
    option: int
    customer: str
    currency: str
    total: Decimal | None
    complete: bool
    indicative: bool
    price_book_id: str | None
    valid_until: str
    time_zone: str
    expires_at: datetime
    sha256: str
    authors: tuple[str, ...]
    reason: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteView(QuoteSummary):
    """A revision whole: `snapshot` is what it says and `request` what was asked, both canonical JSON."""

    approval: ApprovalView
    cannot_be_issued: str | None
    issued_by: str | None
    issued_at: datetime | None
    closed_by: str | None
    closed_at: datetime | None
    acceptance: Mapping[str, Any] | None
    screenings: tuple[Mapping[str, Any], ...]
    request: bytes
    snapshot: bytes


def state_at(row: QuoteRow, now: datetime) -> QuoteState:
    """The state at a moment: an issued quote whose validity has ended is expired, whether that was noted or not."""
    state = QuoteState(row.state)
    return QuoteState.EXPIRED if state is QuoteState.ISSUED and row.expires_at <= now else state


def quote_summary(row: QuoteRow, *, now: datetime) -> QuoteSummary:
    """The summary of a row."""
    return QuoteSummary(**_summary(row, now))


def quote_view(row: QuoteRow, *, now: datetime, accepted: QuoteRow | None = None) -> QuoteView:
    """The view of a row; DamagedError where it no longer is what was written, approved or issued.

    `accepted` is the revision of its number that the customer has accepted.
    """
    snapshot = checked(row)
    return QuoteView(
        **_summary(row, now),
        approval=ApprovalView(
            tier=row.approval["tier"],
            needs=row.approval["needs"],
            approvers=tuple(row.approval["approvers"]),
            why=row.approval["why"],
            approved_by=row.approved_by,
            approved_at=row.approved_at,
            approved_sha256=row.approved_sha256,
        ),
        cannot_be_issued=overtaken(row, accepted),
        issued_by=row.issued_by,
        issued_at=row.issued_at,
        closed_by=row.closed_by,
        closed_at=row.closed_at,
        acceptance=row.acceptance,
        screenings=tuple(row.screenings),
        request=row.request.encode(),
        snapshot=snapshot,
    )


def overtaken(row: QuoteRow, accepted: QuoteRow | None) -> str | None:
    """Why a revision that is being written can never be issued any more; None where nothing stands in its way."""
    if accepted is None or row.state not in BEING_WRITTEN or accepted.id == row.id:
        return None
    return f"revision {accepted.revision} ({accepted.id}) of {row.number} was accepted; for more, write a new quote"


def checked(row: QuoteRow) -> bytes:
    """The snapshot, whose bytes have the hash that was kept, and but for the day of issue are those approved."""
    snapshot = row.snapshot.encode()
    if sha256_of(snapshot) != row.sha256:
        raise _damaged(row)
    if row.approved_sha256 is not None and sha256_of(as_approved(snapshot)) != row.approved_sha256:
        raise _damaged(row)
    return snapshot


def as_approved(snapshot: bytes) -> bytes:
    """The bytes of a snapshot without its day of issue, the one thing that is written after the approval."""
    return canonical_json({**orjson.loads(snapshot), "issued_on": None})


def _damaged(row: QuoteRow) -> DamagedError:
    return DamagedError(
        f"What is stored of quote {row.number}, revision {row.revision} is not what its hash says. It is not shown; "
        "whoever runs the service finds it by this request's id."
    )


def _summary(row: QuoteRow, now: datetime) -> dict[str, Any]:
    names = (
        *("id", "number", "revision", "version", "run_id", "option", "customer", "currency", "total", "complete"),
        *("indicative", "price_book_id", "time_zone", "expires_at", "sha256", "reason", "created_at", "changed_at"),
    )
    return {
        **{name: getattr(row, name) for name in names},
        "state": state_at(row, now),
        "valid_until": row.valid_until.isoformat(),
        "authors": tuple(row.authors),
    }
