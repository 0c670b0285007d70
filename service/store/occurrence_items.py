"""Items of an occurrence as they are read: beside what their batch has found, and by what became of their answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from service.store.tables.batches import BatchAnswerRow, BatchItemRow
from service.store.tables.schedules import OccurrenceItemRow, OccurrenceRow, Outcome
from service.store.tables.workloads import WorkloadRow


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceItemFilter:
    """Which items are asked for."""

    outcome: Outcome | None = None
    kind: str | None = None
    workload_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedItem:
    """An item that is to be compared: its former question, and what its batch has found."""

    line: int
    workload_id: str
    workload_version: int
    name: str | None
    former_version: int | None
    former_digest: str | None
    state: str
    digest: str | None
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOccurrenceItem:
    """An item as it is now; `changes`, `problem` and `answer` are JSON."""

    line: int
    workload_id: str
    workload_version: int
    name: str | None
    kind: str
    outcome: Outcome | None
    moved_fraction: float | None
    former_id: str | None
    changes: str | None
    problem: str | None
    answer: str | None


def sized(session: Session, occurrence: OccurrenceRow, *, after_line: int, limit: int) -> list[SizedItem]:
    """Items in the order of their lines, after `after_line`."""
    item = OccurrenceItemRow
    of_batch = and_(BatchItemRow.batch_id == occurrence.batch_id, BatchItemRow.line == item.line)
    answer = and_(BatchAnswerRow.tenant_id == occurrence.tenant_id, BatchAnswerRow.digest == BatchItemRow.digest)
    query = (
        select(
            item.line,
            item.workload_id,
            item.workload_version,
            BatchItemRow.name,
            item.former_version,
            item.former_digest,
            BatchItemRow.state,
            BatchItemRow.digest,
            BatchAnswerRow.body,
        )
        .join(BatchItemRow, of_batch)
        .outerjoin(BatchAnswerRow, answer)
        .where(item.occurrence_id == occurrence.id, item.line > after_line)
    )
    return [
        SizedItem(
            line=line,
            workload_id=workload_id,
            workload_version=version,
            name=name,
            former_version=former_version,
            former_digest=former_digest,
            state=state,
            digest=digest,
            answer=body,
        )
        for line, workload_id, version, name, former_version, former_digest, state, digest, body in session.execute(
            query.order_by(item.line).limit(limit)
        )
    ]


def answers(session: Session, tenant_id: str, digests: Sequence[str]) -> dict[str, str]:
    """The short answers to these questions, where they are kept."""
    query = select(BatchAnswerRow.digest, BatchAnswerRow.body).where(
        BatchAnswerRow.tenant_id == tenant_id, BatchAnswerRow.digest.in_(digests)
    )
    return {digest: body for digest, body in session.execute(query)}  # noqa: C416 - rows, not tuples, for mypy


def items(
    session: Session, occurrence: OccurrenceRow, *, only: OccurrenceItemFilter, after_line: int, limit: int
) -> Sequence[FoundOccurrenceItem]:
    """Items in the order of their lines, after `after_line`, each with the answer that it has now."""
    item = OccurrenceItemRow
    of_batch = and_(BatchItemRow.batch_id == occurrence.batch_id, BatchItemRow.line == item.line)
    answer = and_(BatchAnswerRow.tenant_id == occurrence.tenant_id, BatchAnswerRow.digest == BatchItemRow.digest)
    query = (
        select(
            item.line,
            item.workload_id,
            item.workload_version,
            WorkloadRow.name,
            WorkloadRow.kind,
            item.outcome,
            item.moved_fraction,
            item.former_id,
            item.changes,
            BatchItemRow.problem,
            BatchAnswerRow.body,
        )
        .join(WorkloadRow, WorkloadRow.id == item.workload_id)
        .outerjoin(BatchItemRow, of_batch)
        .outerjoin(BatchAnswerRow, answer)
        .where(item.occurrence_id == occurrence.id, item.line > after_line)
    )
    if only.outcome is not None:
        query = query.where(item.outcome == only.outcome.value)
    if only.kind is not None:
        query = query.where(WorkloadRow.kind == str(only.kind))
    if only.workload_id is not None:
        query = query.where(item.workload_id == only.workload_id)
    return [
        FoundOccurrenceItem(
            line=line,
            workload_id=workload_id,
            workload_version=version,
            name=name,
            kind=kind,
            outcome=None if outcome is None else Outcome(outcome),
            moved_fraction=moved_fraction,
            former_id=former_id,
            changes=changes,
            problem=problem,
            answer=body,
        )
        for (
            line, workload_id, version, name, kind, outcome, moved_fraction, former_id, changes, problem, body,
        ) in session.execute(query.order_by(item.line).limit(limit))
    ]  # fmt: skip
