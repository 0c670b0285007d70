"""/v1/tenant: an administrator reads what the tenant may do."""

from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.context import caller, runtime
from service.planning.quotas import get_tenant
from service.schemas.tenant import TenantSchema

blueprint = ResourceBlueprint(
    "tenant", __name__, url_prefix="/v1/tenant", permission=Permission.TENANT, description="Your tenant and its quotas."
)


@blueprint.route("", methods=["GET"])
@blueprint.response(200, TenantSchema)
@blueprint.described(operationId="getTenant")
def get_own_tenant() -> Any:
    """Read your tenant's quotas, and how much of them is used."""
    return get_tenant(runtime(), caller())
