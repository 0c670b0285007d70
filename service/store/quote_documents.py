"""Documents of quotes: asked for, taken by a worker, kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from service.store.tables.quotes import QuoteDocumentRow, QuoteRow


def get(session: Session, tenant_id: str, quote_id: str, form: str) -> QuoteDocumentRow | None:
    """The tenant's document of that quote and format, rendered or not."""
    query = select(QuoteDocumentRow).join(QuoteRow, QuoteRow.id == QuoteDocumentRow.quote_id)
    return session.scalar(
        query.where(QuoteRow.tenant_id == tenant_id, QuoteRow.id == quote_id, QuoteDocumentRow.format == form)
    )


def ask(
    session: Session,
    quote_id: str,
    forms: Sequence[str],
    *,
    snapshot_sha256: str,
    issued: bool,
    traceparent: str | None,
    now: datetime,
) -> None:
    """Let a worker render these; what was rendered of another snapshot, or before it was issued, is forgotten."""
    session.execute(delete(QuoteDocumentRow).where(QuoteDocumentRow.quote_id == quote_id))
    session.add_all(
        QuoteDocumentRow(
            quote_id=quote_id,
            format=form,
            snapshot_sha256=snapshot_sha256,
            issued=issued,
            attempts=0,
            traceparent=traceparent,
            asked_at=now,
        )
        for form in forms
    )
    session.flush()


def touch(session: Session, quote_id: str, *, now: datetime, anew: bool) -> None:
    """What is not made yet is asked for again, now; `anew` as if it had never been begun."""
    query = update(QuoteDocumentRow).where(QuoteDocumentRow.quote_id == quote_id, QuoteDocumentRow.content.is_(None))
    session.execute(query.values(asked_at=now, **({"attempts": 0} if anew else {})))


def take(session: Session, quote_id: str, *, most_attempts: int) -> Sequence[QuoteDocumentRow]:
    """The documents that are still to be rendered, each one attempt more; none that was begun too often."""
    missing = (QuoteDocumentRow.quote_id == quote_id, QuoteDocumentRow.content.is_(None))
    session.execute(update(QuoteDocumentRow).where(*missing).values(attempts=QuoteDocumentRow.attempts + 1))
    return session.scalars(select(QuoteDocumentRow).where(*missing, QuoteDocumentRow.attempts <= most_attempts)).all()


def waiting_since(session: Session, *, most_attempts: int, asked_after: datetime) -> datetime | None:
    """When the document that has waited longest was asked for last, which somebody may still want; None without one."""
    asked = QuoteDocumentRow.asked_at
    waits = (QuoteDocumentRow.content.is_(None), asked >= asked_after, QuoteDocumentRow.attempts <= most_attempts)
    return session.scalar(select(func.min(QuoteDocumentRow.asked_at)).where(*waits))


def keep(session: Session, taken: QuoteDocumentRow, *, content: bytes, sha256: str, now: datetime) -> bool:
    """Store the bytes; False where they were stored already, or another snapshot is asked for by now."""
    same = (
        QuoteDocumentRow.quote_id == taken.quote_id,
        QuoteDocumentRow.format == taken.format,
        QuoteDocumentRow.snapshot_sha256 == taken.snapshot_sha256,
        QuoteDocumentRow.issued == taken.issued,
        QuoteDocumentRow.content.is_(None),
    )
    values: dict[str, Any] = {"content": content, "sha256": sha256, "rendered_at": now}
    written = session.execute(update(QuoteDocumentRow).where(*same).values(**values))
    return cast("CursorResult[Any]", written).rowcount == 1
