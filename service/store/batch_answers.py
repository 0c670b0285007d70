"""Answers to the questions of batches, one for all items that ask the same: which there are, and new ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.insert import insert_into
from service.store.tables.batches import BatchAnswerRow
from service.store.tables.runs import ResultRow

# Databases have a limit of places in a statement.
_AT_ONCE = 400


def known_answers(session: Session, tenant_id: str, digests: Sequence[str]) -> dict[str, bool]:
    """Which of these questions a batch of the tenant has an answer to, and whether it is feasible."""
    found: dict[str, bool] = {}
    for start in range(0, len(digests), _AT_ONCE):
        these = digests[start : start + _AT_ONCE]
        query = select(BatchAnswerRow.digest, BatchAnswerRow.feasible).where(
            BatchAnswerRow.tenant_id == tenant_id, BatchAnswerRow.digest.in_(these)
        )
        found.update((row.digest, row.feasible) for row in session.execute(query))
    return found


def stored_results(session: Session, tenant_id: str, digests: Sequence[str]) -> list[str]:
    """Which of these questions a run of the tenant has answered."""
    found: list[str] = []
    for start in range(0, len(digests), _AT_ONCE):
        these = digests[start : start + _AT_ONCE]
        query = select(ResultRow.digest).where(ResultRow.tenant_id == tenant_id, ResultRow.digest.in_(these))
        found += session.scalars(query)
    return found


def put_answers(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep answers unless they are there; equal questions have equal answers, so the first ones stand."""
    if rows:
        insert = insert_into(BatchAnswerRow, session.get_bind().dialect.name)
        session.connection().execute(insert.on_conflict_do_nothing(), list(rows))
