"""Outbox: what remains to be rung."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from service.store.bells import COLUMNS, Bell, bell
from service.store.tables.outbox import OutboxRow
from service.store.tables.runs import RunRow


def add(session: Session, *, task: str, queue: str, entity_id: str, now: datetime) -> OutboxRow:
    """Something to ring, in the transaction of what it rings for."""
    row = OutboxRow(task=task, queue=queue, entity_id=entity_id, created_at=now)
    session.add(row)
    session.flush()
    return row


def oldest(session: Session, *, tasks: Sequence[str], before: datetime, limit: int) -> Sequence[tuple[OutboxRow, Bell]]:
    """What was written before for one of these tasks and not rung yet, oldest first."""
    due = select(OutboxRow, *COLUMNS).outerjoin(RunRow, RunRow.id == OutboxRow.entity_id)
    query = due.where(OutboxRow.task.in_(tasks), OutboxRow.created_at < before).order_by(OutboxRow.id).limit(limit)
    return [(row, bell(row.entity_id, *ids)) for row, *ids in session.execute(query)]


def count(session: Session) -> int:
    """How many entries wait to be rung."""
    return session.scalar(select(func.count()).select_from(OutboxRow)) or 0


def remove(session: Session, ids: Sequence[int]) -> None:
    """These were rung."""
    session.execute(delete(OutboxRow).where(OutboxRow.id.in_(ids)))


def remove_for(session: Session, entity_id: str) -> None:
    """Everything about this run was rung, or needs no ringing any more."""
    session.execute(delete(OutboxRow).where(OutboxRow.entity_id == entity_id))
