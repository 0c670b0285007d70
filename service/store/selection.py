"""Which workloads a schedule re-sizes: in the order of their ids, a page at a time, each with its former answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.schemas.schedule import AnswerState
from service.store.filters import Labels, WorkloadFilter, of_workloads
from service.store.tables.runs import RunRow, RunStatus
from service.store.tables.schedules import OccurrenceItemRow
from service.store.tables.workloads import WorkloadRow

_ENDED = (RunStatus.DONE.value, RunStatus.FAILED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What workloads are re-sized: None is any. `asked_*` are times of their newest version."""

    kind: str | None = None
    labels: Labels = ()
    state: AnswerState | None = None
    asked_after: datetime | None = None
    asked_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """The newest answer to a workload before: who gave it, to which version of the workload, under which digest."""

    id: str
    version: int
    digest: str

    @property
    def moment(self) -> str:
        """What ids sort by: behind the prefix stands the time."""
        return self.id.partition("_")[2]


def page(session: Session, tenant_id: str, only: Selected, *, after_id: str, limit: int) -> Sequence[WorkloadRow]:
    """Selected workloads in the order of their ids, behind `after_id`."""
    query = select(WorkloadRow).where(*_conditions(session, tenant_id, only), WorkloadRow.id > after_id)
    return session.scalars(query.order_by(WorkloadRow.id).limit(limit)).all()


def count(session: Session, tenant_id: str, only: Selected) -> int:
    """How many workloads are selected."""
    query = select(func.count()).select_from(WorkloadRow).where(*_conditions(session, tenant_id, only))
    return session.scalar(query) or 0


def _conditions(session: Session, tenant_id: str, only: Selected) -> list[ColumnElement[bool]]:
    found = [WorkloadRow.tenant_id == tenant_id]
    found += of_workloads(session, WorkloadFilter(kind=only.kind, labels=only.labels))
    asked_at = func.coalesce(WorkloadRow.changed_at, WorkloadRow.created_at)
    if only.asked_after is not None:
        found.append(asked_at >= only.asked_after)
    if only.asked_before is not None:
        found.append(asked_at < only.asked_before)
    return found if only.state is None else [*found, _in_state(only.state)]


def _in_state(state: AnswerState) -> ColumnElement[bool]:
    of_workload = and_(RunRow.workload_id == WorkloadRow.id, RunRow.status.in_(_ENDED))
    newest = (
        select(RunRow.id)
        .where(of_workload)
        .order_by(RunRow.id.desc())
        .limit(1)
        .correlate(WorkloadRow)
        .scalar_subquery()
    )
    if state is AnswerState.UNANSWERED:
        return newest.is_(None)
    failed = RunRow.status == RunStatus.FAILED.value
    ended = failed if state is AnswerState.FAILED else RunRow.feasible.is_(state is AnswerState.FEASIBLE)
    run = select(RunRow.id).where(RunRow.id == newest, ended).correlate(WorkloadRow)
    return run.exists()


def former(session: Session, tenant_id: str, workload_ids: Sequence[str]) -> Mapping[str, Former]:
    """The newest answer to each of these workloads, of a run or of an earlier occurrence."""
    found: dict[str, Former] = {}
    for workload_id, one in (*_of_runs(session, tenant_id, workload_ids), *_of_occurrences(session, workload_ids)):
        known = found.get(workload_id)
        if known is None or known.moment < one.moment:
            found[workload_id] = one
    return found


def _of_runs(session: Session, tenant_id: str, workload_ids: Sequence[str]) -> list[tuple[str, Former]]:
    done = and_(
        RunRow.tenant_id == tenant_id, RunRow.workload_id.in_(workload_ids), RunRow.status == RunStatus.DONE.value
    )
    newest = select(func.max(RunRow.id)).where(done).group_by(RunRow.workload_id)
    columns = (RunRow.workload_id, RunRow.id, RunRow.workload_version, RunRow.digest)
    rows = session.execute(select(*columns).where(RunRow.id.in_(newest)))
    return [
        (workload_id, Former(id=run_id, version=version, digest=digest))
        for workload_id, run_id, version, digest in rows
    ]


def _of_occurrences(session: Session, workload_ids: Sequence[str]) -> list[tuple[str, Former]]:
    item = OccurrenceItemRow
    newest = (
        select(item.workload_id, func.max(item.occurrence_id).label("occurrence_id"))
        .where(item.workload_id.in_(workload_ids), item.digest.is_not(None))
        .group_by(item.workload_id)
        .subquery()
    )
    same = and_(item.workload_id == newest.c.workload_id, item.occurrence_id == newest.c.occurrence_id)
    columns = (item.workload_id, item.occurrence_id, item.workload_version, item.digest)
    return [
        (workload_id, Former(id=occurrence_id, version=version, digest=digest))
        for workload_id, occurrence_id, version, digest in session.execute(select(*columns).join(newest, same))
        if digest is not None
    ]
