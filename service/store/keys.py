"""API keys: functions (session, ...) -> row. The store sees hashes only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Select, or_, select, update
from sqlalchemy.orm import Session

from service.access import TENANT_ROLES, Quota, Role
from service.store.ids import new_id
from service.store.tables.keys import ApiKeyRow, PrincipalRow
from service.store.tables.tenants import TenantRow

QUOTA = (TenantRow.quota_reads, TenantRow.quota_writes, TenantRow.quota_open_runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """A key with the names that authentication needs."""

    key: ApiKeyRow
    principal: str
    tenant_disabled_at: datetime | None
    quota: Quota


def add(
    session: Session,
    principal: PrincipalRow,
    *,
    role: Role,
    prefix: str,
    secret_sha256: bytes,
    expires_at: datetime | None,
    now: datetime,
) -> ApiKeyRow:
    """A new key of the principal."""
    row = ApiKeyRow(
        id=new_id("key", now),
        tenant_id=principal.tenant_id,
        principal_id=principal.id,
        role=role.value,
        prefix=prefix,
        secret_sha256=secret_sha256,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row


def by_prefix(session: Session, prefix: str) -> KeyOwner | None:
    """The key with that prefix, its principal's name, and whether its tenant is disabled."""
    query = (
        select(ApiKeyRow, PrincipalRow.name, TenantRow.disabled_at, *QUOTA)
        .join(PrincipalRow, PrincipalRow.id == ApiKeyRow.principal_id)
        .join(TenantRow, TenantRow.id == ApiKeyRow.tenant_id)
        .where(ApiKeyRow.prefix == prefix)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    key, principal, disabled_at, *quota = found
    return KeyOwner(key=key, principal=principal, tenant_disabled_at=disabled_at, quota=quota_of(*quota))


def quota_of(reads: int | None, writes: int | None, open_runs: int | None) -> Quota:
    """The quota in the columns of QUOTA."""
    return Quota(reads=reads, writes=writes, open_runs=open_runs)


def of_tenant(session: Session, tenant_id: str) -> Sequence[tuple[ApiKeyRow, str]]:
    """The tenant's keys, oldest first, each with its principal's name."""
    query = (
        select(ApiKeyRow, PrincipalRow.name)
        .join(PrincipalRow, PrincipalRow.id == ApiKeyRow.principal_id)
        .where(ApiKeyRow.tenant_id == tenant_id)
        .order_by(ApiKeyRow.created_at, ApiKeyRow.id)
    )
    return [(key, principal) for key, principal in session.execute(query)]


def _of_its_own(tenant_id: str) -> Select[ApiKeyRow, str]:
    """The keys that a tenant may see; those of operators are the installation's."""
    return (
        select(ApiKeyRow, PrincipalRow.name)
        .join(PrincipalRow, PrincipalRow.id == ApiKeyRow.principal_id)
        .where(ApiKeyRow.tenant_id == tenant_id, ApiKeyRow.role.in_([role.value for role in TENANT_ROLES]))
    )


def get(session: Session, tenant_id: str, key_id: str) -> tuple[ApiKeyRow, str] | None:
    """The tenant's key of that id with its principal's name; None for another tenant's, and for an operator's."""
    found = session.execute(_of_its_own(tenant_id).where(ApiKeyRow.id == key_id)).one_or_none()
    return None if found is None else (found[0], found[1])


def newest(session: Session, tenant_id: str, *, before_id: str | None, limit: int) -> Sequence[tuple[ApiKeyRow, str]]:
    """The tenant's keys, newest first, older than `before_id`, each with its principal's name."""
    query = _of_its_own(tenant_id)
    if before_id is not None:
        query = query.where(ApiKeyRow.id < before_id)
    rows = session.execute(query.order_by(ApiKeyRow.id.desc()).limit(limit))
    return [(key, principal) for key, principal in rows]


def expire(session: Session, tenant_id: str, key_id: str, *, at: datetime) -> bool:
    """Let a live key of the tenant end then, unless it ends before; False where it does, or is revoked."""
    query = update(ApiKeyRow).where(
        ApiKeyRow.tenant_id == tenant_id,
        ApiKeyRow.id == key_id,
        ApiKeyRow.revoked_at.is_(None),
        or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > at),
    )
    return cast("CursorResult[Any]", session.execute(query.values(expires_at=at))).rowcount == 1


def touch(session: Session, key_id: str, *, now: datetime) -> None:
    """Remember that the key was used."""
    session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=now))


def revoke(session: Session, tenant_id: str, key_id: str, *, now: datetime) -> bool:
    """Revoke one key of the tenant; False when there is no such live key."""
    query = update(ApiKeyRow).where(
        ApiKeyRow.tenant_id == tenant_id, ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_(None)
    )
    return cast("CursorResult[Any]", session.execute(query.values(revoked_at=now))).rowcount == 1


def revoke_all(session: Session, tenant_id: str, *, now: datetime) -> Sequence[str]:
    """Revoke every live key of the tenant and tell their ids."""
    query = update(ApiKeyRow).where(ApiKeyRow.tenant_id == tenant_id, ApiKeyRow.revoked_at.is_(None))
    return session.scalars(query.values(revoked_at=now).returning(ApiKeyRow.id)).all()
