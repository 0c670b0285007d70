"""Who is calling and what a role may do; pure."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The role of an API key."""

    REQUESTER = "requester"
    SELLER = "seller"
    APPROVER = "approver"
    ADMIN = "admin"
    OPERATOR = "operator"


class Permission(StrEnum):
    """What a route asks for."""

    WORKLOADS = "workloads"
    RUNS = "runs"
    ESTIMATES = "estimates"
    BATCHES = "batches"
    CATALOG = "catalog"
    AUDIT = "audit"
    PRICE_BOOKS = "price_books"
    PRICE_BOOK_CHANGES = "price_book_changes"
    QUOTES = "quotes"
    QUOTE_APPROVALS = "quote_approvals"
    KEYS = "keys"
    TENANT = "tenant"
    INSTALLATION = "installation"
    WEBHOOKS = "webhooks"
    SCHEDULES = "schedules"
    SCHEDULE_CHANGES = "schedule_changes"


_TENANT_WORK = frozenset(
    {
        Permission.WORKLOADS,
        Permission.RUNS,
        Permission.ESTIMATES,
        Permission.BATCHES,
        Permission.CATALOG,
        Permission.PRICE_BOOKS,
        Permission.SCHEDULES,
    }
)

_SALES = _TENANT_WORK | {Permission.QUOTES}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.REQUESTER: _TENANT_WORK,
    Role.SELLER: _SALES,
    Role.APPROVER: _SALES | {Permission.QUOTE_APPROVALS},
    Role.ADMIN: _SALES
    | {
        Permission.QUOTE_APPROVALS,
        Permission.AUDIT,
        Permission.PRICE_BOOK_CHANGES,
        Permission.KEYS,
        Permission.TENANT,
        Permission.SCHEDULE_CHANGES,
        Permission.WEBHOOKS,
    },
    # An operator runs the installation and never sees a tenant's data.
    Role.OPERATOR: frozenset({Permission.CATALOG, Permission.INSTALLATION}),
}
# Keys of operators are the installation's: no tenant makes or sees one.
TENANT_ROLES = tuple(role for role in Role if role is not Role.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a tenant may do: calls per window that read or write, runs that are open at once. None: as everybody."""

    reads: int | None = None
    writes: int | None = None
    open_runs: int | None = None


EVERYBODYS = Quota()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One authenticated principal of one tenant, through one key."""

    tenant_id: str
    principal: str
    role: Role
    key_id: str
    quota: Quota = EVERYBODYS

    def may(self, permission: Permission) -> bool:
        """Whether the caller's role grants the permission."""
        return permission in PERMISSIONS[self.role]
