"""Tenants and principals: functions (session, ...) -> row."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

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


def ensure(session: Session, name: str, *, now: datetime) -> TenantRow:
    """The tenant of that name, made when there is none."""
    insert_if_absent(session, TenantRow, id=new_id("ten", now), name=name, created_at=now)
    return session.scalars(select(TenantRow).where(TenantRow.name == name)).one()


def set_disabled(session: Session, tenant_id: str, *, at: datetime | None) -> bool:
    """Disable at a time, or enable again with None; False when there is no such tenant."""
    row = get(session, tenant_id)
    if row is None:
        return False
    row.disabled_at = at
    session.flush()
    return True


def ensure_principal(session: Session, tenant_id: str, name: str, *, now: datetime) -> PrincipalRow:
    """The tenant's principal of that name, made when there is none."""
    insert_if_absent(session, PrincipalRow, id=new_id("pri", now), tenant_id=tenant_id, name=name, created_at=now)
    query = select(PrincipalRow).where(PrincipalRow.tenant_id == tenant_id, PrincipalRow.name == name)
    return session.scalars(query).one()
