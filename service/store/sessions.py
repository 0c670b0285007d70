"""Browser sessions: functions (session, ...) -> row. The store sees hashes of their secrets only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.orm import Session

from service.store.keys import QUOTA, KeyOwner, quota_of
from service.store.tables.keys import ApiKeyRow, PrincipalRow
from service.store.tables.sessions import BrowserSessionRow
from service.store.tables.tenants import TenantRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOwner:
    """A session with the key that it was opened with."""

    row: BrowserSessionRow
    owner: KeyOwner


def add(session: Session, row: BrowserSessionRow) -> None:
    """A new session."""
    session.add(row)
    session.flush()


def find(session: Session, session_id: str) -> SessionOwner | None:
    """The session with its key, its principal's name, and whether its tenant is disabled: one query."""
    query = (
        select(BrowserSessionRow, ApiKeyRow, PrincipalRow.name, TenantRow.disabled_at, *QUOTA)
        .join(ApiKeyRow, ApiKeyRow.id == BrowserSessionRow.key_id)
        .join(PrincipalRow, PrincipalRow.id == ApiKeyRow.principal_id)
        .join(TenantRow, TenantRow.id == BrowserSessionRow.tenant_id)
        .where(BrowserSessionRow.id == session_id)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    row, key, principal, disabled_at, *quota = found
    owner = KeyOwner(key=key, principal=principal, tenant_disabled_at=disabled_at, quota=quota_of(*quota))
    return SessionOwner(row=row, owner=owner)


def rotate(session: Session, session_id: str, *, old: bytes, new: bytes, now: datetime) -> bool:
    """Give the session another secret; False when another request has just done so."""
    query = (
        update(BrowserSessionRow)
        .where(BrowserSessionRow.id == session_id, BrowserSessionRow.secret_sha256 == old)
        .values(secret_sha256=new, previous_sha256=old, rotated_at=now, used_at=now)
    )
    return cast("CursorResult[Any]", session.execute(query)).rowcount == 1


def touch(session: Session, session_id: str, *, now: datetime) -> None:
    """Remember that the session was used."""
    session.execute(update(BrowserSessionRow).where(BrowserSessionRow.id == session_id).values(used_at=now))


def end(session: Session, session_id: str) -> None:
    """Forget the session."""
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.id == session_id))


def end_expired(session: Session, *, now: datetime) -> None:
    """Forget the sessions of everybody that are over."""
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.expires_at <= now))
