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


_TENANT_WORK = frozenset(
    {Permission.WORKLOADS, Permission.RUNS, Permission.ESTIMATES, Permission.BATCHES, Permission.CATALOG}
)

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.REQUESTER: _TENANT_WORK,
    Role.SELLER: _TENANT_WORK,
    Role.APPROVER: _TENANT_WORK,
    Role.ADMIN: _TENANT_WORK | {Permission.AUDIT},
    # An operator runs the installation and never sees a tenant's data.
    Role.OPERATOR: frozenset({Permission.CATALOG}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One authenticated principal of one tenant, through one key."""

    tenant_id: str
    principal: str
    role: Role
    key_id: str

    def may(self, permission: Permission) -> bool:
        """Whether the caller's role grants the permission."""
        return permission in PERMISSIONS[self.role]
