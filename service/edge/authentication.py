"""Who is calling: a Bearer key becomes a Caller, and every blueprint says which permission it asks for."""

from collections.abc import Callable
from typing import cast

import structlog
from flask import Blueprint, Flask, current_app, g, request
from flask.sansio.blueprints import Blueprint as SansioBlueprint

from service.access import Caller, Permission
from service.edge.answering import Environ
from service.edge.context import runtime_of
from service.edge.limits import spend_for_address, spend_for_tenant
from service.edge.recent_keys import RecentKeys
from service.errors import ForbiddenError, PlannerError, TenantDisabledError, UnauthenticatedError
from service.planning import keys
from service.store.scope import act_for

_EXTENSION = "headroom-recent-keys"
# In the environment of a request: who sends it, or None, where somebody has looked already.
CALLER = "headroom.caller"
_SCHEME = "bearer"
_LONGEST_KEY = 200


def remember_keys(app: Flask, *, memory_s: float) -> None:
    """Let the application trust a key that it has just checked; done again, it starts to remember anew."""
    app.extensions[_EXTENSION] = RecentKeys(memory_s)


def recent_caller(app: Flask, authorization: str) -> Caller | None:
    """Who sends this header, where the key in it was checked a moment ago; None says nothing about the key."""
    scheme, _, token = authorization.partition(" ")
    if scheme != "Bearer":
        return None
    try:
        return _recent(app).known(token, lambda: keys.authenticate(runtime_of(app), token))
    except Exception:  # noqa: BLE001 - whatever is wrong with the key or its look-up, the long way finds and tells it
        return None


def likely_tenant(app: Flask, environ: Environ) -> str | None:
    """Whose key a request most likely has, without a look at the database: to take turns by, and for nothing else."""
    caller: Caller | None = environ.get(CALLER)
    if caller is None:
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        caller = _recent(app).last_holder(token) if scheme == "Bearer" else None
    return None if caller is None else caller.tenant_id


def caller_of(app: Flask, authorization: str) -> Caller:
    """Who sends this header; UnauthenticatedError and TenantDisabledError say why nobody does."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != _SCHEME or not token:
        raise UnauthenticatedError("Send an API key: Authorization: Bearer <key>.")
    if len(token) > _LONGEST_KEY or not token.isascii():
        raise UnauthenticatedError("This is not an API key of this service.")
    return _recent(app).caller(token, lambda: keys.authenticate(runtime_of(app), token))


def protect(blueprint: Blueprint, permission: Permission) -> None:
    """Every route of the blueprint needs a key whose role grants the permission."""

    def check() -> None:
        try:
            caller = g.caller = caller_of(current_app, request.environ.get("HTTP_AUTHORIZATION", ""))
        except (UnauthenticatedError, TenantDisabledError):
            spend_for_address()
            raise
        spend_for_tenant(caller)
        act_for(caller.tenant_id)
        structlog.contextvars.bind_contextvars(tenant_id=caller.tenant_id, key_id=caller.key_id)
        if not caller.may(permission):
            raise ForbiddenError(f"A key of role {caller.role} may not use {permission}.")

    _hook(blueprint, check, permission)


def open_to_all(blueprint: Blueprint) -> None:
    """The blueprint answers without a key: said aloud, so that a forgotten hook is not mistaken for it."""

    def check() -> None:
        """Nothing to check."""

    _hook(blueprint, check, None)


def spend_without_route() -> None:
    """Count a call that ends before its route asks who calls: for the tenant of its key, for its address where the key
    is not valid. RateLimitedError when it is one too many. Without a key it stays uncounted, like routes open to all.
    """
    authorization = request.environ.get("HTTP_AUTHORIZATION", "")
    if not authorization:
        return
    blueprint = current_app.blueprints.get(request.blueprint or "")
    if blueprint is not None and not _protected(blueprint):
        return
    try:
        caller = caller_of(current_app, authorization)
    except (UnauthenticatedError, TenantDisabledError):
        spend_for_address()
        return
    except PlannerError:
        return
    spend_for_tenant(caller)


def _protected(blueprint: SansioBlueprint) -> bool:
    hooks = blueprint.before_request_funcs.get(None, [])
    return any(getattr(hook, "permission", None) is not None for hook in hooks)


def permission_of(hook: Callable[[], None]) -> Permission | None:
    """What an authentication hook asks for; AttributeError when the function is no such hook."""
    permission: Permission | None = hook.permission  # type: ignore[attr-defined]
    return permission


def _hook(blueprint: Blueprint, check: Callable[[], None], permission: Permission | None) -> None:
    check.permission = permission  # type: ignore[attr-defined]
    blueprint.before_request(check)


def _recent(app: Flask) -> RecentKeys:
    return cast("RecentKeys", app.extensions[_EXTENSION])
