"""/v1/tenant: an administrator reads what the tenant may do."""

from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.planning.quotas import get_tenant
from service.schemas.tenant import TenantSchema

blueprint = ResourceBlueprint(
    "tenant", __name__, url_prefix="/v1/tenant", permission=Permission.TENANT, description="Your tenant and its quotas."
)


@blueprint.route("", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, TenantSchema, headers=ETAG_DOC)
@blueprint.described(operationId="getTenant")
def get_own_tenant() -> Any:
    """Read your tenant's quotas, and how much of them is used."""
    found = get_tenant(runtime(), caller())
    return found, tagged("tenant", repr(found))
