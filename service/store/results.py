"""Results: the answers, one per tenant and digest, written once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.insert import insert_if_absent
from service.store.tables.runs import ResultRow


def put(session: Session, tenant_id: str, digest: str, *, body: str, feasible: bool, now: datetime) -> bool:
    """Store the answer unless it is there; the first one stands, and equal questions have equal answers."""
    return insert_if_absent(
        session, ResultRow, tenant_id=tenant_id, digest=digest, body=body, feasible=feasible, created_at=now
    )


def body(session: Session, tenant_id: str, digest: str) -> bytes | None:
    """The answer's canonical JSON."""
    query = select(ResultRow.body).where(ResultRow.tenant_id == tenant_id, ResultRow.digest == digest)
    found = session.scalar(query)
    return None if found is None else found.encode()


def feasible(session: Session, tenant_id: str, digest: str) -> bool | None:
    """Whether the stored answer is feasible, without reading it; None when there is none."""
    query = select(ResultRow.feasible).where(ResultRow.tenant_id == tenant_id, ResultRow.digest == digest)
    return session.scalar(query)
