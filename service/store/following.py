"""Runs that follow an equal one: who leads on when their leader ends without an answer for them."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.store.stated import stated_in
from service.store.tables.runs import OPEN, RunRow, RunStatus


def promote_oldest(session: Session, ended_id: str, *, lapsed_at: datetime) -> RunRow | None:
    """The oldest open follower of a run that has ended leads on, and the others follow it; None when nobody follows.

    One that callers have seen running stays running: its lease, which nobody holds, lapsed at `lapsed_at`, so that the
    next claim takes it. It has no attempts of its own yet, so it is far from being given up.
    """
    follows = (RunRow.follows_run_id == ended_id, stated_in(RunRow.status, OPEN))
    oldest = select(RunRow).where(*follows).order_by(RunRow.id).limit(1).with_for_update()
    heir = session.scalar(oldest, execution_options={"populate_existing": True})
    if heir is None:
        return None
    heir.follows_run_id = None
    if heir.status == RunStatus.RUNNING:
        heir.lease_until = lapsed_at
    session.flush()
    others = update(RunRow).where(*follows).values(follows_run_id=heir.id)
    session.execute(others.execution_options(synchronize_session=False))
    return heir
