"""Leases and heartbeats of processes."""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from service.store.insert import insert_if_absent
from service.store.tables.processes import HeartbeatRow, LeaseRow


def hold(session: Session, name: str, holder: str, *, now: datetime, for_s: float) -> bool:
    """Take or renew the lease; False while somebody else holds it."""
    until = now + timedelta(seconds=for_s)
    if insert_if_absent(session, LeaseRow, name=name, holder=holder, token=1, held_until=until):
        return True
    mine = LeaseRow.holder == holder
    query = (
        update(LeaseRow)
        .where(LeaseRow.name == name, or_(mine, LeaseRow.held_until < now))
        .values(holder=holder, held_until=until, token=LeaseRow.token + case((mine, 0), else_=1))
    )
    return cast("CursorResult[Any]", session.execute(query)).rowcount == 1


def release(session: Session, name: str, holder: str, *, now: datetime) -> None:
    """Give the lease up at once, so that the standby need not wait for it to run out."""
    query = update(LeaseRow).where(LeaseRow.name == name, LeaseRow.holder == holder)
    session.execute(query.values(held_until=now - timedelta(seconds=1)))


def beat(session: Session, process: str, *, role: str, now: datetime) -> None:
    """Write down that the process lives."""
    if not insert_if_absent(session, HeartbeatRow, process=process, role=role, started_at=now, seen_at=now):
        session.execute(update(HeartbeatRow).where(HeartbeatRow.process == process).values(seen_at=now))


def silence(session: Session, process: str) -> None:
    """Take the heartbeat back: the process stops on purpose."""
    session.execute(delete(HeartbeatRow).where(HeartbeatRow.process == process))


def last_seen(session: Session, role: str) -> datetime | None:
    """When a process of that role last said that it lives."""
    return session.scalar(select(func.max(HeartbeatRow.seen_at)).where(HeartbeatRow.role == role))


def count_alive(session: Session, *, since: datetime) -> dict[str, int]:
    """Per role, how many processes have said since then that they live."""
    query = select(HeartbeatRow.role, func.count()).where(HeartbeatRow.seen_at >= since).group_by(HeartbeatRow.role)
    return {role: count for role, count in session.execute(query)}  # noqa: C416 - rows, not tuples, for mypy


def forget_silent(session: Session, *, before: datetime) -> int:
    """Remove the heartbeats of processes that are long gone."""
    outcome = session.execute(delete(HeartbeatRow).where(HeartbeatRow.seen_at < before))
    return cast("CursorResult[Any]", outcome).rowcount
