"""Runs that wait for a worker, by tenant: who has some, and the next one of a tenant.

Both look at as many rows as there are tenants that wait, and not at the thousands of runs that one of them may have.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from service.store.runs import LEADS, RUNNING
from service.store.stated import stated
from service.store.tables.runs import RunRow, RunStatus

# In the words of their index alone: by others SQLite finds another, of all that are open.
_WAITS = and_(stated(RunRow.status, RunStatus.QUEUED), LEADS)


def tenants(session: Session) -> Sequence[str]:
    """The tenants with runs that wait, whoever has waited longest first."""
    found = select(func.min(RunRow.tenant_id).label("tenant_id")).where(_WAITS).cte(recursive=True)
    following = select(func.min(RunRow.tenant_id)).where(_WAITS, RunRow.tenant_id > found.c.tenant_id)
    found = found.union_all(select(following.scalar_subquery()).where(found.c.tenant_id.is_not(None)))
    oldest = select(func.min(RunRow.id)).where(_WAITS, RunRow.tenant_id == found.c.tenant_id)
    query = select(found.c.tenant_id).where(found.c.tenant_id.is_not(None))
    return session.scalars(query.order_by(oldest.scalar_subquery())).all()


def take(session: Session, tenant_id: str, preferred: str, *, patient: bool) -> str | None:
    """Lock one of the tenant's waiting runs, the preferred one or else the oldest; None when there is none.

    The impatient pass over runs that somebody else holds at this moment.
    """
    waits = select(RunRow.id).where(RunRow.tenant_id == tenant_id, _WAITS)
    waits = waits.with_for_update(skip_locked=not patient)
    own = session.scalar(waits.where(RunRow.id == preferred))
    return session.scalar(waits.order_by(RunRow.id).limit(1)) if own is None else own


def has_lapsed(session: Session, run_id: str, *, now: datetime, max_attempts: int) -> bool:
    """Whether the run is held under a lease that has run out, and may be tried again."""
    lapsed = select(RunRow.id).where(RunRow.id == run_id, RUNNING, RunRow.lease_until < now)
    return session.scalar(lapsed.where(RunRow.attempts - RunRow.spares < max_attempts)) is not None
