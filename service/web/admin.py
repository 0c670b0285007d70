"""/admin: what the tenant may do, and who changed what."""

import shlex

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.edge.context import caller, runtime
from service.edge.pages import PageBlueprint
from service.planning.audit import ACTIONS, ResourceKind, list_events
from service.planning.quotas import get_tenant
from service.store.filters import AuditFilter
from service.web.rendering import page

blueprint = PageBlueprint("admin", __name__, permission=Permission.AUDIT)
quotas = PageBlueprint("quotas", __name__, permission=Permission.TENANT)

_PER_PAGE = 50


@blueprint.get("/admin")
def choose() -> AnyResponse:
    """The first page."""
    return redirect("/admin/keys", code=303)


@blueprint.get("/admin/audit")
def show_audit() -> Response:
    """Who changed what, newest first."""
    only = AuditFilter(
        action=request.args.get("action") or None,
        principal=request.args.get("principal") or None,
        resource_kind=request.args.get("kind") or None,
    )
    found = list_events(runtime(), caller(), only=only, before_id=request.args.get("before"), limit=_PER_PAGE + 1)
    return page(
        "admin_audit.html",
        events=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None,
        actions=ACTIONS,
        kinds=tuple(ResourceKind),
        asked=request.args,
    )


@quotas.get("/admin/quotas")
def show_quotas() -> Response:
    """What the tenant may do, and how much of it is used."""
    tenant = get_tenant(runtime(), caller())
    return page("admin_quotas.html", tenant=tenant, typed_name=shlex.quote(tenant.name))
