"""Cases E: tenants and what their people may do."""

import functools
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.faulting.belongings import belongings, document_of
from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.load import body_of
from scripts.faulting.references import at, described, objects, with_member
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from scripts.faulting.sweep import shown_body
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
_ENDS_WITHIN_S = 60.0
_TENANT, _JSON = "acme", "application/json"
_FREE = {"labels", "hf_config"}
_NOT_BEGUN = b"SELECT id FROM runs WHERE id = ANY(%s) AND status = 'queued' AND attempts = 0"


@case(38, "members that nobody may set", quick=True)
def mass_assignment(scene: Scene) -> None:
    """Each internal member in each body of each operation, at any depth, is refused, and nothing is written.

    Labels and the contents of a config.json are free: there such a name is a word like any other.
    """
    document, own = document_of(scene), belongings(scene, _TENANT)
    person = scene.driver.person(_TENANT, Role.ADMIN)
    scene.checker.wait_until_at_rest()
    before = scene.holdings(_TENANT)
    at_top = within = 0
    for operation in described(document, own):
        media_type, body = shown_body(document, operation.known)
        for where in objects(body) if media_type == _JSON and isinstance(body, dict) else ():
            if set(where) & _FREE:
                continue
            names = [name for name in _INTERNAL if name not in at(body, where)]
            # The full profile tries every name everywhere.
            chosen = names if not where or scene.times(0, 1) else scene.rng.sample(names, 3)
            for name in chosen:
                sent = with_member(body, (*where, name), "x")
                answer = scene.driver.send(person, operation.method, operation.path, sent, headers={"If-Match": "*"})
                words = f"{operation.method} {operation.template} with {'.'.join(map(str, (*where, name)))}"
                scene.expect(answer.status == 422, "I4", f"{words} was answered {answer.status}")
            at_top += 0 if where else len(chosen)
            within += len(chosen) if where else 0
    scene.checker.wait_until_at_rest()
    after = scene.holdings(_TENANT)
    changed = sorted(name for name in before if before[name] != after[name])
    scene.expect(not changed, "I4", f"bodies that were refused have changed {changed}")
    scene.seen.bad_inputs += at_top + within
    scene.note("bodies with members that nobody may set, at the top and within", [at_top, within])
    scene.expect(at_top > 100 and within > 50, "I4", f"only {at_top} and {within} bodies were tried")


@case(39, "what a role may not do")
def function_level(scene: Scene) -> None:
    """403, and no way around it by revising what one approves.

    A draft belongs to the tenant and not to who wrote it: any seller of the tenant goes on with it, and becomes one of
    its authors, who may not approve it.
    """
    shop = scene.shop("bolt")
    quote = shop.draft()
    _check_shared(scene, shop, quote["id"])
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


def _check_shared(scene: Scene, shop: Shop, quote_id: str) -> None:
    """Another seller of the tenant goes on with a draft, and the audit tells who it was."""
    path = f"/v1/quotes/{quote_id}"
    answer = shop.call(Role.ADMIN, "PUT", path, shop.body(discount_fraction="0.31"), headers={"If-Match": "*"})
    scene.expect(answer.status == 200, "I3", f"a draft of a colleague's was answered {answer.status}")
    events = shop.call(Role.ADMIN, "GET", f"/v1/audit-events?resource_id={quote_id}").json()["items"]
    authors = {event["principal"] for event in events}
    scene.expect(len(authors) == 2, "I9", f"two have written quote {quote_id}, and its audit names {authors}")
    shop.step("submit", quote_id)
    status = shop.step("approve", quote_id, role=Role.ADMIN).status
    scene.expect(status == 403, "I3", f"somebody approved a draft of another's that they had changed: {status}")
    shop.step("reject", quote_id, {"reason": "to be written on"})


@case(40, "keys that are expired, revoked, malformed, of a disabled tenant")
def bad_keys(scene: Scene) -> None:
    """401 or 403; what such a tenant has queued stops before it is sized.

    What was asked with a key that is revoked afterwards is the tenant's, and is done: others of the tenant read it.
    """
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
    _revoke_with_queued_runs(scene)
    _disable_with_queued_runs(scene)
    scene.wait_for(functools.partial(scene.job, tenant="cyan"), what="the tenant works again")


def _revoke_with_queued_runs(scene: Scene) -> None:
    person = scene.driver.person("cyan")
    key = create_key(scene.driver.runtime, person.tenant_id, principal="leaving", role=Role.REQUESTER)
    leaving = replace(person, token=key.token)
    asked = [(scene.questions.key(), scene.questions.fresh()) for _ in range(6)]
    jobs = [scene.driver.submit(leaving, name, body_of(leaving, name, question)) for name, question in asked]
    revoke_key(scene.driver.runtime, person.tenant_id, key.id)
    time.sleep(_OWN_MEMORY_S)
    status = scene.driver.send(leaving, "GET", f"/v1/runs/{jobs[0] and jobs[0].run_id}").status
    scene.expect(status == 401, "I3", f"a revoked key that has queued runs was answered {status}")
    ends = {job and scene.driver.follow(job, within_s=_ENDS_WITHIN_S) for job in jobs}
    scene.expect(ends <= {"done", "failed"}, "I1", f"runs of a key that was revoked meanwhile ended as {ends}")


def _disable_with_queued_runs(scene: Scene) -> None:
    runtime, person = scene.driver.runtime, scene.driver.person("cyan")
    jobs = [job for job in (scene.job(tenant="cyan") for _ in range(6)) if job]
    set_tenant_disabled(runtime, person.tenant_id, disabled=True)
    ids = [job.run_id for job in jobs]
    waiting = [run_id for (run_id,) in scene.query(_NOT_BEGUN, ids)]
    time.sleep(_OWN_MEMORY_S)
    status = scene.driver.send(person, "GET", "/v1/runs").status
    scene.expect(status == 403, "I3", f"a key of a disabled tenant was answered {status}")
    scene.rig.failpoints.disarm()
    scene.checker.wait_until_at_rest()
    codes = scene.query(b"SELECT DISTINCT error_code FROM runs WHERE id = ANY(%s)", waiting)
    scene.expect(waiting and codes == [("tenant_disabled",)], "I3", f"runs of a disabled tenant ended as {codes}")
    scene.note("runs that a disabled tenant had queued", len(waiting))
    set_tenant_disabled(runtime, person.tenant_id, disabled=False)
    time.sleep(_OWN_MEMORY_S)
