"""Quotas: what one tenant may do; set by the operator, read by the tenant's administrators."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from service.access import Caller, Quota
from service.errors import NotFoundError
from service.planning.audit import Action, Author, Change, author_on_host, record
from service.planning.transact import read, transact
from service.runtime import Runtime
from service.settings import Settings
from service.store import runs, tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    """A tenant as its administrators see it. Calls are per window; `open_runs` is how many there are now."""

    id: str
    name: str
    created_at: datetime
    reads_max: int
    writes_max: int
    window_s: int
    open_runs_max: int
    open_runs: int


def get_tenant(runtime: Runtime, caller: Caller) -> TenantView:
    """The caller's tenant."""
    settings = runtime.settings

    def query(session: Session) -> TenantView:
        row = tenants.get(session, caller.tenant_id)
        assert row is not None
        quota = _in_force(tenants.quota_of(row), settings)
        assert quota.reads is not None
        assert quota.writes is not None
        assert quota.open_runs is not None
        return TenantView(
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            reads_max=quota.reads,
            writes_max=quota.writes,
            window_s=settings.rate_window_s,
            open_runs_max=quota.open_runs,
            open_runs=runs.count_open(session, row.id),
        )

    return read(runtime, query)


def set_quota(runtime: Runtime, tenant_id: str, quota: Quota, *, author: Author | None = None) -> None:
    """What the tenant may do from now on, in place of what it might; NotFoundError when there is no such tenant."""
    now, by = runtime.clock(), author or author_on_host()

    def work(session: Session) -> None:
        row = tenants.get(session, tenant_id)
        if row is None:
            raise NotFoundError(f"There is no tenant {tenant_id[:64]!r}.")
        old = tenants.quota_of(row)
        if old == quota:
            return
        tenants.set_quota(session, tenant_id, quota)
        change = Change(
            at=now,
            action=Action.TENANT_QUOTA_CHANGED,
            tenant_id=tenant_id,
            resource_id=tenant_id,
            old_state=_in_words(old),
            new_state=_in_words(quota),
        )
        record(session, (by, change))

    transact(runtime, work)


def quota_of(runtime: Runtime, tenant_id: str) -> Quota:
    """What the tenant may do otherwise than everybody; NotFoundError when there is no such tenant."""
    row = read(runtime, lambda session: tenants.get(session, tenant_id))
    if row is None:
        raise NotFoundError(f"There is no tenant {tenant_id[:64]!r}.")
    return tenants.quota_of(row)


def _in_force(quota: Quota, settings: Settings) -> Quota:
    return Quota(
        reads=quota.reads or settings.rate_limit_reads,
        writes=quota.writes or settings.rate_limit_writes,
        open_runs=quota.open_runs or settings.open_runs_max,
    )


def _in_words(quota: Quota) -> str:
    own = {"reads": quota.reads, "writes": quota.writes, "open runs": quota.open_runs}
    return ", ".join(f"{count} {name}" for name, count in own.items() if count is not None) or "as everybody"
