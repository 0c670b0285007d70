"""Tenants and principals: functions (session, ...) -> row."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from service.access import Quota
from service.store.ids import new_id
from service.store.insert import insert_if_absent
from service.store.tables.keys import PrincipalRow
from service.store.tables.tenants import TenantRow


def get(session: Session, tenant_id: str) -> TenantRow | None:
    """The tenant of that id."""
    return session.get(TenantRow, tenant_id)


def by_name(session: Session, name: str) -> TenantRow | None:
    """The tenant of that name."""
    return session.scalars(select(TenantRow).where(TenantRow.name == name)).one_or_none()


def ensure(session: Session, name: str, *, now: datetime) -> tuple[TenantRow, bool]:
    """The tenant of that name, made when there is none, and whether it was."""
    made = insert_if_absent(session, TenantRow, id=new_id("ten", now), name=name, created_at=now)
    return session.scalars(select(TenantRow).where(TenantRow.name == name)).one(), made


def hold(session: Session, tenant_id: str) -> None:
    """Until the transaction ends nobody else holds the tenant; rows may refer to it meanwhile."""
    session.execute(select(TenantRow.id).where(TenantRow.id == tenant_id).with_for_update(key_share=True))


def set_disabled(session: Session, tenant_id: str, *, at: datetime | None) -> bool:
    """Disable at a time, or enable again with None; False when it is so already, or there is no such tenant."""
    other = TenantRow.disabled_at.is_not(None) if at is None else TenantRow.disabled_at.is_(None)
    query = update(TenantRow).where(TenantRow.id == tenant_id, other).values(disabled_at=at)
    return cast("CursorResult[Any]", session.execute(query)).rowcount == 1


def set_quota(session: Session, tenant_id: str, quota: Quota) -> bool:
    """What the tenant may do from now on; False when there is no such tenant."""
    values = {"quota_reads": quota.reads, "quota_writes": quota.writes, "quota_open_runs": quota.open_runs}
    query = update(TenantRow).where(TenantRow.id == tenant_id).values(**values)
    return cast("CursorResult[Any]", session.execute(query)).rowcount == 1


def quota_of(row: TenantRow) -> Quota:
    """What the tenant may do."""
    return Quota(reads=row.quota_reads, writes=row.quota_writes, open_runs=row.quota_open_runs)


def ensure_principal(session: Session, tenant_id: str, name: str, *, now: datetime) -> PrincipalRow:
    """The tenant's principal of that name, made when there is none."""
    insert_if_absent(session, PrincipalRow, id=new_id("pri", now), tenant_id=tenant_id, name=name, created_at=now)
    query = select(PrincipalRow).where(PrincipalRow.tenant_id == tenant_id, PrincipalRow.name == name)
    return session.scalars(query).one()
