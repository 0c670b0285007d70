"""/v1/audit-events: who changed what, when, from which request."""

from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.context import caller, runtime
from service.planning.audit import ACTIONS, ResourceKind, list_events
from service.schemas.audit import AuditEventPageSchema
from service.schemas.page import CursorField, PageQuerySchema, page
from service.schemas.query import TimeField
from service.schemas.strict import Choice, Text
from service.store.filters import AuditFilter

_EVENTS = "audit-events"

blueprint = ResourceBlueprint(
    "audit", __name__, url_prefix="/v1/audit-events", permission=Permission.AUDIT, description="Who changed what."
)


class AuditQuerySchema(PageQuerySchema):
    """The query of the list of audit events."""

    cursor = CursorField(_EVENTS)
    action = Choice("Only events of this action.", ACTIONS, load_default=None, allow_none=False)
    principal = Text("Only what this principal did.", load_default=None, allow_none=False)
    resource_kind = Choice(
        "Only what was done to this kind of resource.", ResourceKind, load_default=None, allow_none=False
    )
    resource_id = Text("Only what was done to this resource.", longest=64, load_default=None, allow_none=False)
    created_after = TimeField("Only events of this time or later.")
    created_before = TimeField("Only events before this time.")


@blueprint.route("", methods=["GET"])
@blueprint.arguments(AuditQuerySchema, location="query")
@blueprint.response(200, AuditEventPageSchema)
@blueprint.described(
    operationId="listAuditEvents",
    description="For administrators. One event per accepted change that a caller or an operator on the host made: "
    "workloads, cancelled runs, price books, quotes, keys, the tenant itself; and one, by the service, when the "
    "validity of an issued quote ends. What was refused, repeated or changed nothing has none. Nor has what else the "
    "service does by itself: how far a run has come is in the run (`started_at`, `finished_at`, `attempts`, `error`).",
)
def get_audit_events(query: dict[str, Any]) -> Any:
    """List what was changed, and by whom, newest first."""
    cursor, limit = query.pop("cursor"), query.pop("limit")
    found = list_events(runtime(), caller(), only=AuditFilter(**query), before_id=cursor, limit=limit + 1)
    return page(found, of=_EVENTS, limit=limit)
