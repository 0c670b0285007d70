"""Runs: functions (session, ...) -> row. What a caller asks for is of one tenant; what a worker does goes by id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Dialect, and_, func, literal, or_, select, update
from sqlalchemy.orm import Session, aliased, defer
from sqlalchemy.sql.elements import ColumnElement

from service.store.bells import COLUMNS, Bell, bell
from service.store.filters import RunFilter, of_runs
from service.store.insert_many import ManyRows
from service.store.stated import stated, stated_in
from service.store.tables.moment import Moment
from service.store.tables.runs import OPEN, RunRow, RunStatus
from service.store.written import rows_written

LEADS = RunRow.follows_run_id.is_(None)
_IS_OPEN = stated_in(RunRow.status, OPEN)
# Both words: SQLite does not conclude the wider one from the narrower.
QUEUED = and_(_IS_OPEN, stated(RunRow.status, RunStatus.QUEUED))
RUNNING = and_(_IS_OPEN, stated(RunRow.status, RunStatus.RUNNING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Under which versions a question was asked or answered."""

    catalog: str
    calibration: str
    engine: str
    price_book_digest: str | None


def columns_of(versions: Versions) -> dict[str, Any]:
    """The versions as columns of a run."""
    return {
        "catalog_version": versions.catalog,
        "calibration_version": versions.calibration,
        "engine_version": versions.engine,
        "price_book_digest": versions.price_book_digest,
    }


def add(session: Session, row: RunRow) -> RunRow:
    """Insert; IntegrityError when another run of the tenant already leads on this open question."""
    session.add(row)
    session.flush()
    return row


def many(dialect: Dialect, rows: Sequence[Mapping[str, Any]]) -> ManyRows:
    """Ended runs to insert, given as their columns: nothing can contend for them."""
    return ManyRows(dialect, RunRow, rows)


def get(session: Session, tenant_id: str, run_id: str) -> RunRow | None:
    """The tenant's run of that id; None for another tenant's."""
    return session.scalar(select(RunRow).where(RunRow.tenant_id == tenant_id, RunRow.id == run_id))


def hold(session: Session, tenant_id: str, run_id: str) -> RunRow | None:
    """The tenant's run as it is now, locked: its state stays what it is until this transaction ends."""
    query = select(RunRow).where(RunRow.tenant_id == tenant_id, RunRow.id == run_id).with_for_update()
    return session.scalar(query, execution_options={"populate_existing": True})


def cancel(session: Session, held: RunRow, *, now: datetime) -> None:
    """End a held, open run without an answer. Its worker's late write finds it no longer running, and is refused."""
    held.status = RunStatus.CANCELLED.value
    held.finished_at = now
    held.lease_until = None
    session.flush()


def newest(
    session: Session,
    tenant_id: str,
    *,
    only: RunFilter,
    before_id: str | None = None,
    limit: int = 50,
) -> Sequence[RunRow]:
    """The tenant's runs, newest first, older than `before_id`."""
    query = select(RunRow).where(RunRow.tenant_id == tenant_id, *of_runs(session, only))
    if before_id is not None:
        query = query.where(RunRow.id < before_id)
    return session.scalars(query.order_by(RunRow.id.desc()).limit(limit)).all()


def standing(session: Session, tenant_id: str, workload_id: str, *, version: int, digest: str) -> str | None:
    """The newest run of this version of the workload that is open, or done with the answer under `digest`; its id."""
    good = or_(_IS_OPEN, and_(RunRow.status == RunStatus.DONE.value, RunRow.digest == digest))
    of_version = (RunRow.tenant_id == tenant_id, RunRow.workload_id == workload_id, RunRow.workload_version == version)
    return session.scalar(select(RunRow.id).where(*of_version, good).order_by(RunRow.id.desc()).limit(1))


def leader_of(session: Session, tenant_id: str, digest: str) -> RunRow | None:
    """The open run that leads on this question; locked, so that it cannot end while somebody joins it."""
    query = select(RunRow).where(RunRow.tenant_id == tenant_id, RunRow.digest == digest, _IS_OPEN, LEADS)
    return session.scalar(query.with_for_update(read=True))


def claim(session: Session, run_id: str, *, now: datetime, lease_s: float, max_attempts: int) -> RunRow | None:
    """Take a queued run, or a running one whose lease has run out; None when there is nothing to take."""
    expired = and_(RUNNING, RunRow.lease_until < now, RunRow.attempts - RunRow.spares < max_attempts)
    query = (
        update(RunRow)
        .where(RunRow.id == run_id, LEADS, or_(QUEUED, expired))
        .values(
            status=RunStatus.RUNNING.value,
            attempts=RunRow.attempts + 1,
            lease_token=RunRow.lease_token + 1,
            lease_until=now + timedelta(seconds=lease_s),
            started_at=func.coalesce(RunRow.started_at, literal(now, Moment)),
        )
        .returning(RunRow)
    )
    row = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if row is not None:
        session.execute(
            update(RunRow)
            .where(RunRow.follows_run_id == run_id, QUEUED)
            .values(status=RunStatus.RUNNING.value, started_at=now)
        )
    return row


def finish(
    session: Session, run_id: str, *, token: int, feasible: bool, digest: str, versions: Versions, now: datetime
) -> bool:
    """Done, with the answer under `digest`; False when a newer claim holds the token, and then nothing is written."""
    values = {"status": RunStatus.DONE.value, "feasible": feasible, "digest": digest, **columns_of(versions)}
    return _end(session, run_id, token=token, values=values, now=now)


def fail(
    session: Session, run_id: str, *, token: int, code: str, message: str, traceback: str | None, now: datetime
) -> bool:
    """Failed, with its code and message; the traceback stays in the row. False when a newer claim holds the token."""
    values = {
        "status": RunStatus.FAILED.value,
        "error_code": code,
        "error_message": message,
        "error_traceback": traceback,
    }
    return _end(session, run_id, token=token, values=values, now=now)


def spare(session: Session, run_id: str, *, token: int, now: datetime) -> bool:
    """Give the run back as if its lease had run out; the attempt is not held against it. False as above."""
    holds = and_(RunRow.id == run_id, RunRow.lease_token == token, RUNNING)
    return _rows(session, holds, {"spares": RunRow.spares + 1, "lease_until": now}) == 1


def _end(session: Session, run_id: str, *, token: int, values: dict[str, Any], now: datetime) -> bool:
    """End the run that holds the token, and every run that follows it, in the same way."""
    values = {**values, "finished_at": now, "lease_until": None}
    holds = and_(RunRow.id == run_id, RunRow.lease_token == token, RUNNING)
    if _rows(session, holds, values) != 1:
        return False
    follower = {**values, "started_at": func.coalesce(RunRow.started_at, literal(now, Moment))}
    _rows(session, and_(RunRow.follows_run_id == run_id, _IS_OPEN), follower)
    return True


def _rows(session: Session, where: ColumnElement[bool], values: dict[str, Any]) -> int:
    return rows_written(session, update(RunRow).where(where).values(**values))


def mark_sent(session: Session, run_ids: Sequence[str], *, now: datetime) -> None:
    """The doorbell was rung for these."""
    _rows(session, and_(RunRow.id.in_(run_ids), _IS_OPEN), {"sent_at": now})


def unclaimed(session: Session, *, sent_before: datetime, limit: int) -> Sequence[Bell]:
    """Queued runs, oldest first, however old, that were never rung or were rung and not claimed since."""
    query = (
        select(RunRow.id, *COLUMNS)
        .where(
            QUEUED,
            LEADS,
            func.coalesce(RunRow.sent_at, RunRow.created_at) < sent_before,
        )
        .order_by(RunRow.id)
        .limit(limit)
    )
    return [bell(*row) for row in session.execute(query)]


def count_queued(session: Session) -> int:
    """How many runs wait for a worker."""
    return session.scalar(select(func.count()).where(QUEUED, LEADS)) or 0


def open_counts(session: Session) -> dict[str, int]:
    """How many runs are queued and how many are running; followers are counted with their leader's status."""
    query = select(RunRow.status, func.count()).where(_IS_OPEN).group_by(RunRow.status)
    found = {status: count for status, count in session.execute(query)}  # noqa: C416 - rows, not tuples, for mypy
    return {status.value: found.get(status.value, 0) for status in OPEN}


def count_open(session: Session, tenant_id: str) -> int:
    """How many questions of the tenant are open, equal ones counted once."""
    query = select(func.count(RunRow.id)).where(RunRow.tenant_id == tenant_id, _IS_OPEN, LEADS)
    return session.scalar(query) or 0


def dead(session: Session, *, before_id: str | None, limit: int) -> Sequence[RunRow]:
    """Runs of all tenants that failed, newest first, older than `before_id`; without what was asked and traced."""
    query = select(RunRow).options(
        defer(RunRow.question, raiseload=True), defer(RunRow.error_traceback, raiseload=True)
    )
    query = query.where(stated(RunRow.status, RunStatus.FAILED))
    if before_id is not None:
        query = query.where(RunRow.id < before_id)
    return session.scalars(query.order_by(RunRow.id.desc()).limit(limit)).all()


def waiting_since(session: Session) -> datetime | None:
    """Since when the run that has waited longest waits for a worker; None when none waits."""
    return session.scalar(select(func.min(RunRow.created_at)).where(QUEUED, LEADS))


def expired(session: Session, *, now: datetime, sent_before: datetime, limit: int) -> Sequence[RunRow]:
    """Running runs whose lease has run out, however long ago, and that were not rung for since."""
    query = (
        select(RunRow)
        .where(
            RUNNING,
            LEADS,
            RunRow.lease_until < now,
            or_(RunRow.sent_at.is_(None), RunRow.sent_at <= RunRow.lease_until, RunRow.sent_at < sent_before),
        )
        .order_by(RunRow.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def expel(session: Session, run_id: str, *, token: int) -> int | None:
    """Take an expired run away from its holder without starting it; the new token, None when it moved meanwhile."""
    holds = and_(RunRow.id == run_id, RunRow.lease_token == token, RUNNING)
    return token + 1 if _rows(session, holds, {"lease_token": token + 1}) == 1 else None


def ended_together(session: Session, tenant_id: str, run_id: str, *, at: datetime) -> Sequence[RunRow]:
    """A run that ended at this moment, and those that followed it and ended with it."""
    together = or_(RunRow.id == run_id, RunRow.follows_run_id == run_id)
    query = select(RunRow).where(RunRow.tenant_id == tenant_id, together, RunRow.finished_at == at)
    return session.scalars(query.order_by(RunRow.id), execution_options={"populate_existing": True}).all()


def orphans(session: Session, *, limit: int) -> Sequence[tuple[RunRow, RunRow]]:
    """Open followers whose leader has ended, each with that leader."""
    leader = aliased(RunRow)
    query = (
        select(RunRow, leader)
        .join(leader, leader.id == RunRow.follows_run_id)
        .where(_IS_OPEN, leader.status.not_in(OPEN))
        .order_by(RunRow.id)
        .limit(limit)
    )
    return [(follower, ended) for follower, ended in session.execute(query)]


def settle(session: Session, follower: RunRow, leader: RunRow, *, now: datetime) -> None:
    """End a follower as its leader ended."""
    values = {
        name: getattr(leader, name)
        for name in (
            "status",
            "feasible",
            "digest",
            "error_code",
            "error_message",
            "catalog_version",
            "calibration_version",
            "engine_version",
            "price_book_digest",
        )
    }
    _rows(session, and_(RunRow.id == follower.id, _IS_OPEN), {**values, "finished_at": now})
