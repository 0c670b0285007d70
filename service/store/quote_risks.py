"""What may have become of the ground that quotes stand on: newer answers to their workloads."""

from collections.abc import Collection, Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from service.store.tables.runs import ResultRow, RunRow, RunStatus


def newest_answer(session: Session, tenant_id: str, run_id: str) -> tuple[str, str] | None:
    """The newest done run of the run's workload in which something fits, and its digest."""
    return newest_answers(session, tenant_id, [run_id]).get(run_id)


def newest_answers(session: Session, tenant_id: str, run_ids: Collection[str]) -> Mapping[str, tuple[str, str]]:
    """By run: the newest done, feasible run of its workload and that one's digest. One statement for all."""
    quoted, other = aliased(RunRow), aliased(RunRow)
    newest = (
        select(quoted.id.label("run_id"), func.max(other.id).label("newest_id"))
        .join(other, other.workload_id == quoted.workload_id)
        .where(
            quoted.tenant_id == tenant_id,
            quoted.id.in_(run_ids),
            other.tenant_id == tenant_id,
            other.status == RunStatus.DONE.value,
            other.feasible.is_(True),
        )
        .group_by(quoted.id)
        .subquery()
    )
    query = select(newest.c.run_id, RunRow.id, RunRow.digest).join(RunRow, RunRow.id == newest.c.newest_id)
    return {run_id: (newest_id, digest) for run_id, newest_id, digest in session.execute(query)}


def digests(session: Session, tenant_id: str, run_ids: Collection[str]) -> Mapping[str, str]:
    """By run: under which digest its answer is kept."""
    query = select(RunRow.id, RunRow.digest).where(RunRow.tenant_id == tenant_id, RunRow.id.in_(run_ids))
    return {run_id: digest for run_id, digest in session.execute(query)}  # noqa: C416 - rows, not tuples, for mypy


def bodies(session: Session, tenant_id: str, wanted: Collection[str]) -> Mapping[str, bytes]:
    """By digest: the answers. One statement for all."""
    query = select(ResultRow.digest, ResultRow.body).where(
        ResultRow.tenant_id == tenant_id, ResultRow.digest.in_(wanted)
    )
    return {digest: body.encode() for digest, body in session.execute(query)}
