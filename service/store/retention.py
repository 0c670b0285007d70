"""What is removed when it is old and nothing needs it: a bounded piece per call; each returns how many rows went.

Ids sort by the time in them, so whatever is oldest is found first without an index of its own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.orm import Session, aliased

from service.store import releases
from service.store.batches import remove_piece
from service.store.ids import first_id
from service.store.tables.audit import AuditEventRow
from service.store.tables.batches import BatchAnswerRow, BatchItemRow, BatchRow, BatchStatus
from service.store.tables.quotes import QuoteDocumentRow, QuoteRow
from service.store.tables.runs import OPEN, ResultRow, RunRow, RunStatus
from service.store.tables.schedules import OccurrenceItemRow, OccurrenceRow, OccurrenceStatus
from service.store.tables.webhooks import DeliveryStatus, WebhookDeliveryRow, WebhookEventRow
from service.store.written import rows_written

_ENDED_BATCHES = (BatchStatus.DONE.value, BatchStatus.CANCELLED.value)


def audit_events(session: Session, *, before: datetime, limit: int) -> int:
    """Events of before."""
    old = select(AuditEventRow.id).where(AuditEventRow.id < first_id("aud", before), AuditEventRow.created_at < before)
    return rows_written(
        session, delete(AuditEventRow).where(AuditEventRow.id.in_(old.order_by(AuditEventRow.id).limit(limit)))
    )


def occurrences(session: Session, *, before: datetime, limit: int) -> int:
    """The oldest occurrence that was done before, unless it is the newest of its schedule: items first, then itself.

    Its batch is an ordinary one from then on.
    """
    newer = aliased(OccurrenceRow)
    later = and_(newer.schedule_id == OccurrenceRow.schedule_id, newer.id > OccurrenceRow.id)
    done = and_(OccurrenceRow.status == OccurrenceStatus.DONE.value, OccurrenceRow.finished_at < before)
    query = select(OccurrenceRow.id).where(done, select(newer.id).where(later).exists())
    found = session.scalar(query.order_by(OccurrenceRow.id).limit(1))
    if found is None:
        return 0
    items = select(OccurrenceItemRow.line).where(OccurrenceItemRow.occurrence_id == found).limit(limit)
    gone = rows_written(
        session,
        delete(OccurrenceItemRow).where(OccurrenceItemRow.occurrence_id == found, OccurrenceItemRow.line.in_(items)),
    )
    if gone < limit:
        gone += rows_written(session, delete(OccurrenceRow).where(OccurrenceRow.id == found))
    return gone


def batches(session: Session, *, before: datetime, limit: int) -> int:
    """The oldest batch that ended before and belongs to no occurrence: items first, then its chunks and itself."""
    of_occurrence = select(OccurrenceRow.id).where(OccurrenceRow.batch_id == BatchRow.id).exists()
    ended = and_(BatchRow.status.in_(_ENDED_BATCHES), BatchRow.finished_at < before)
    found = session.scalar(select(BatchRow.id).where(ended, ~of_occurrence).order_by(BatchRow.id).limit(1))
    return 0 if found is None else remove_piece(session, found, limit=limit)


def batch_answers(session: Session, *, before: datetime, limit: int) -> int:
    """Short answers of before that no item has, and that no question of today's versions can ask for again."""
    answer, item = BatchAnswerRow, BatchItemRow
    asked = select(item.line).where(item.digest == answer.digest, item.digest.is_not(None)).exists()
    old = select(answer.tenant_id, answer.digest).where(answer.created_at < _outdated(session, before), ~asked)
    gone = 0
    for tenant_id, digest in session.execute(old.limit(limit)).all():
        gone += rows_written(session, delete(answer).where(answer.tenant_id == tenant_id, answer.digest == digest))
    return gone


def runs(session: Session, *, before: datetime, limit: int, after_id: str = "") -> Sequence[str]:
    """Runs of before that nothing needs; their ids, for the next call to go on behind.

    Needed are: open ones, the newest done one of a workload and what came after it, what a quote was written from, what
    others follow, and what today's versions would answer in the same way.
    """
    newer, follower = aliased(RunRow), aliased(RunRow)
    later = and_(newer.workload_id == RunRow.workload_id, newer.id > RunRow.id, newer.status == RunStatus.DONE.value)
    quoted = and_(QuoteRow.tenant_id == RunRow.tenant_id, QuoteRow.run_id == RunRow.id)
    query = (
        select(RunRow.id)
        .where(
            RunRow.id > after_id,
            RunRow.id < first_id("run", before),
            RunRow.status.not_in(OPEN),
            RunRow.finished_at < before,
            select(newer.id).where(later).exists(),
            ~select(QuoteRow.id).where(quoted).exists(),
            ~select(follower.id).where(follower.follows_run_id == RunRow.id).exists(),
            _of_other_versions(session),
        )
        .order_by(RunRow.id)
        .limit(limit)
    )
    found = session.scalars(query).all()
    rows_written(session, delete(RunRow).where(RunRow.id.in_(found)))
    return found


def _of_other_versions(session: Session) -> Any:
    newest = releases.newest(session)
    if newest is None:
        return RunRow.id.is_(None)
    return or_(
        RunRow.catalog_version != newest.catalog_version,
        RunRow.calibration_version != newest.calibration_version,
        RunRow.engine_version != newest.engine_version,
        func.coalesce(RunRow.price_book_digest, "") != newest.price_book_digest,
    )


def results(session: Session, *, before: datetime, limit: int) -> int:
    """Answers of before whose runs are gone, under versions that are."""
    same = and_(RunRow.tenant_id == ResultRow.tenant_id, RunRow.digest == ResultRow.digest)
    query = (
        select(ResultRow.tenant_id, ResultRow.digest)
        .outerjoin(RunRow, same)
        .where(ResultRow.created_at < _outdated(session, before), RunRow.id.is_(None))
        .limit(limit)
    )
    found = session.execute(query).all()
    return sum(
        rows_written(session, delete(ResultRow).where(ResultRow.tenant_id == tenant_id, ResultRow.digest == digest))
        for tenant_id, digest in found
    )


def draft_documents(session: Session, *, before: datetime, limit: int) -> int:
    """Documents that show no issued quote: whoever asks for one again gets it made again."""
    old = and_(~QuoteDocumentRow.issued, QuoteDocumentRow.rendered_at < before)
    found = session.execute(select(QuoteDocumentRow.quote_id, QuoteDocumentRow.format).where(old).limit(limit)).all()
    return sum(
        rows_written(
            session,
            delete(QuoteDocumentRow).where(QuoteDocumentRow.quote_id == quote_id, QuoteDocumentRow.format == form),
        )
        for quote_id, form in found
    )


def webhook_events(session: Session, *, before: datetime, limit: int) -> int:
    """Events of before whose deliveries have all ended, with these."""
    pending = and_(
        WebhookDeliveryRow.event_id == WebhookEventRow.id, WebhookDeliveryRow.status == DeliveryStatus.PENDING.value
    )
    query = (
        select(WebhookEventRow.id)
        .where(WebhookEventRow.created_at < before, ~select(WebhookDeliveryRow.id).where(pending).exists())
        .order_by(WebhookEventRow.created_at)
        .limit(limit)
    )
    found = session.scalars(query).all()
    gone = rows_written(session, delete(WebhookDeliveryRow).where(WebhookDeliveryRow.event_id.in_(found)))
    return gone + rows_written(session, delete(WebhookEventRow).where(WebhookEventRow.id.in_(found)))


def _outdated(session: Session, before: datetime) -> datetime:
    """What is older was answered before the release of today: nothing that is asked now has its digest."""
    newest = releases.newest(session)
    return before if newest is None else min(before, newest.created_at)
