"""Cases E: tenants and what their people may do."""

import functools
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.faulting.belongings import belongings, document_of
from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.scene import Scene
from scripts.faulting.sweep import PLACES, operations, shown_body
from service.access import Role
from service.planning.keys import create_key, revoke_key, set_tenant_disabled

# Members that callers must never be able to set, wherever they put them.
_INTERNAL = (
    "id",
    "tenant_id",
    "tenant",
    "status",
    "state",
    "version",
    "principal",
    "approved_by",
    "approved_sha256",
    "approval",
    "discount_floor",
    "total",
    "sha256",
    "created_at",
    "role",
    "cached",
    "digest",
    "attempts",
)
_OWN_MEMORY_S = 0.5


@case(38, "members that nobody may set", quick=True)
def mass_assignment(scene: Scene) -> None:
    """Each internal member in each body of each operation is refused, and nothing is written."""
    document, own = document_of(scene), belongings(scene, "acme")
    person = scene.driver.person("acme", Role.ADMIN)
    posts = [
        (method.upper(), path, shown_body(document, known)[1])
        for path, described in document["paths"].items()
        for method, known in described.items()
        if method in {"post", "put", "patch"} and "{" not in path
    ]
    posts += [
        (operation.method, operation.at({**PLACES, **own}), operation.body)
        for operation in operations(document)
        if operation.is_documented
    ]
    tried = 0
    for method, path, body in posts:
        if not isinstance(body, dict):
            continue
        for name in _INTERNAL:
            if name in body:
                continue
            answer = scene.driver.send(person, method, path, body | {name: "x"}, headers={"If-Match": "*"})
            scene.expect(answer.status == 422, "I4", f"{method} {path} with {name} was answered {answer.status}")
            tried += 1
    scene.seen.bad_inputs += tried
    scene.note("bodies with members that nobody may set", tried)
    scene.expect(tried > 100, "I4", f"only {tried} bodies were tried")


@case(39, "what a role may not do")
def function_level(scene: Scene) -> None:
    """403, and no way around it by revising what one approves."""
    shop = scene.shop("bolt")
    quote = shop.draft()
    shop.step("submit", quote["id"])
    for role in (Role.REQUESTER, Role.SELLER, Role.OPERATOR):
        status = shop.step("approve", quote["id"], role=role).status
        scene.expect(status == 403, "I3", f"a {role} approved a quote: {status}")
    person = scene.driver.person("bolt", Role.REQUESTER)
    for method, path in (("GET", "/v1/quotes"), ("GET", "/v1/audit-events"), ("POST", "/v1/price-books")):
        body: Any = {} if method == "POST" else None
        status = scene.driver.send(person, method, path, body).status
        scene.expect(status == 403, "I3", f"a requester's {method} {path} was answered {status}")
    mine = shop.call(Role.APPROVER, "POST", "/v1/quotes", shop.body()).json()
    shop.step("submit", mine["id"], role=Role.APPROVER)
    status = shop.step("approve", mine["id"], role=Role.APPROVER).status
    scene.expect(status == 403, "I3", f"an author approved their own quote: {status}")
    shop.call(Role.SELLER, "PUT", f"/v1/quotes/{mine['id']}", shop.body(), headers={"If-Match": "*"})
    shop.step("submit", mine["id"])
    status = shop.step("approve", mine["id"], role=Role.APPROVER).status
    scene.expect(status == 403, "I3", f"an earlier author approved what another has written anew: {status}")


@case(40, "keys that are expired, revoked, malformed, of a disabled tenant")
def bad_keys(scene: Scene) -> None:
    """401 or 403; what such a tenant has queued stops before it is sized."""
    runtime, person = scene.driver.runtime, scene.driver.person("cyan")
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired = create_key(runtime, person.tenant_id, principal="late", role=Role.REQUESTER, expires_at=past)
    revoked = create_key(runtime, person.tenant_id, principal="gone", role=Role.REQUESTER)
    revoke_key(runtime, person.tenant_id, revoked.id)
    time.sleep(_OWN_MEMORY_S)
    for token in (expired.token, revoked.token, person.token[:-1], f"{person.token}x", "hr_", "x" * 300, "hr_a_b"):
        answer = scene.driver.send(None, "GET", "/v1/runs", headers={"Authorization": f"Bearer {token}"})
        scene.expect(answer.status == 401, "I3", f"a bad key was answered {answer.status}")
        scene.seen.bad_inputs += 1
    scene.rig.failpoints.set(Trait.SLOW, seconds=0.5)
    jobs = [job for job in (scene.job(tenant="cyan") for _ in range(6)) if job]
    set_tenant_disabled(runtime, person.tenant_id, disabled=True)
    time.sleep(_OWN_MEMORY_S)
    status = scene.driver.send(person, "GET", "/v1/runs").status
    scene.expect(status == 403, "I3", f"a key of a disabled tenant was answered {status}")
    scene.rig.failpoints.disarm()
    scene.checker.wait_until_at_rest()
    codes = scene.query(b"SELECT DISTINCT error_code FROM runs WHERE id = ANY(%s)", [job.run_id for job in jobs])
    scene.expect(("tenant_disabled",) in codes, "I3", f"runs of a disabled tenant ended as {codes}")
    set_tenant_disabled(runtime, person.tenant_id, disabled=False)
    time.sleep(_OWN_MEMORY_S)
    scene.wait_for(functools.partial(scene.job, tenant="cyan"), what="the tenant works again")
