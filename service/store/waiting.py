"""Runs that wait for a worker, by tenant: who has some, and the next one of a tenant."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.runs import LEADS, QUEUED, RUNNING
from service.store.tables.runs import RunRow


def tenants(session: Session) -> Sequence[str]:
    """The tenants with runs that wait, whoever has waited longest first."""
    query = select(RunRow.tenant_id).where(QUEUED, LEADS).group_by(RunRow.tenant_id)
    return session.scalars(query.order_by(func.min(RunRow.id))).all()


def take(session: Session, tenant_id: str, preferred: str, *, patient: bool) -> str | None:
    """Lock one of the tenant's waiting runs, the preferred one or else the oldest; None when there is none.

    The impatient pass over runs that somebody else holds at this moment.
    """
    query = select(RunRow.id).where(RunRow.tenant_id == tenant_id, QUEUED, LEADS)
    query = query.order_by((RunRow.id == preferred).desc(), RunRow.id).limit(1)
    return session.scalar(query.with_for_update(skip_locked=not patient))


def has_lapsed(session: Session, run_id: str, *, now: datetime) -> bool:
    """Whether the run is held under a lease that has run out."""
    return session.scalar(select(RunRow.id).where(RunRow.id == run_id, RUNNING, RunRow.lease_until < now)) is not None
