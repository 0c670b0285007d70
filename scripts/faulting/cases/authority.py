"""Cases E: tenants and what their people may do."""

import functools
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.faulting.answer import Answer
from scripts.faulting.case import case
from scripts.faulting.driver import Person
from scripts.faulting.failpoints import Trait
from scripts.faulting.load import body_of
from scripts.faulting.scene import Scene
from scripts.faulting.shop import PRICES
from scripts.faulting.sweep import PLACES, operations, parameters, references, shown_body, unlike
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


def document_of(scene: Scene) -> Mapping[str, Any]:
    """What the service says of itself."""
    document: Mapping[str, Any] = scene.driver.send(None, "GET", "/openapi.json").json()
    return document


def belongings(scene: Scene, tenant: str) -> dict[str, str]:
    """One resource of each kind of a tenant, by the name of the path parameter that names it."""
    shop = scene.shop(tenant)
    quote = shop.issued()
    other = shop.issued()
    run = shop.call(Role.SELLER, "GET", f"/v1/runs/{shop.run_id}").json()
    books = shop.call(Role.ADMIN, "GET", "/v1/price-books").json()["items"]
    line = body_of(scene.driver.person(tenant), scene.questions.key(), scene.questions.fresh())
    batch = shop.call(Role.SELLER, "POST", "/v1/batches", [line]).json()
    other_job = scene.job(tenant=tenant)
    assert other_job is not None
    scene.driver.follow(other_job)
    key = shop.call(Role.ADMIN, "POST", "/v1/keys", {"principal": "somebody", "role": "requester"}).json()
    nightly = {
        "name": f"nightly {scene.driver.person(tenant).canary}",
        "selection": {"labels": {"of": "nobody"}},
        "cron": "0 3 * * *",
    }
    schedule = shop.call(Role.ADMIN, "POST", "/v1/schedules", nightly).json()
    occurrence = shop.call(Role.ADMIN, "POST", f"/v1/schedules/{schedule['id']}/run").json()
    hook = {"name": "nowhere", "url": "http://127.77.0.1:9/x", "events": ["run.done"], "enabled": True}
    webhook = shop.call(Role.ADMIN, "POST", "/v1/webhooks", hook).json()
    delivery = shop.call(Role.ADMIN, "POST", f"/v1/webhooks/{webhook['id']}/ping").json()
    return {
        "webhook_id": webhook["id"],
        "delivery_id": delivery["id"],
        "key_id": key["id"],
        "schedule_id": schedule["id"],
        "occurrence_id": occurrence["id"],
        "workload_id": run["workload_id"],
        "run_id": shop.run_id,
        "other_id": other_job.run_id,
        "batch_id": batch["id"],
        "price_book_id": books[0]["id"],
        "quote_id": quote["id"],
        "other_quote_id": other["id"],
    }


@case(36, "another tenant's ids in every operation", quick=True)
def other_tenants_ids(scene: Scene) -> None:
    """Answered as an id that nobody has, without any effect, by every method and for every role."""
    document = document_of(scene)
    own, foreign = belongings(scene, "acme"), belongings(scene, "bolt")
    unknown = parameters(document) - set(foreign)
    scene.expect(not unknown, "I3", f"the sweep has nothing of another tenant for {sorted(unknown)}")
    before = _state(scene)
    tried = 0
    # tests/api/test_tenancy.py tries every role in every run of the tests, on SQLite.
    for role in Role if scene.times(0, 1) else (Role.ADMIN,):
        person = scene.driver.person("acme", role)

        def send(method: str, path: str, body: Any, headers: Mapping[str, str], person: Person = person) -> Answer:
            nonlocal tried
            tried += 1
            return scene.driver.send(person, method, path, body, headers=headers)

        for words in unlike(send, document, foreign=foreign, own=own):
            scene.expect(holds=False, invariant="I3", words=f"{role}: {words}")
    tried += _referred(scene, own, foreign)
    scene.expect(_state(scene) == before, "I3", "calls with another tenant's ids changed something of that tenant")
    scene.seen.bad_inputs += tried
    scene.note("calls with another tenant's ids", tried)


_STATE = b"""SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM (
    SELECT r.id || r.status || r.tenant_id FROM runs r UNION ALL SELECT q.id || q.state || q.version FROM quotes q
    UNION ALL SELECT w.id || w.version || coalesce(w.archived_at::text, '') FROM workloads w
    UNION ALL SELECT b.id || b.status FROM batches b UNION ALL SELECT p.id || p.changes FROM price_books p) AS t
    WHERE t::text <> ''"""


def _state(scene: Scene) -> object:
    scene.checker.wait_until_at_rest()
    return scene.query(_STATE)[0][0]


def _referred(scene: Scene, own: Mapping[str, str], foreign: Mapping[str, str]) -> int:
    """In bodies, filters, cursors, tags and keys."""
    admin, seller = (scene.driver.person("acme", role) for role in (Role.ADMIN, Role.SELLER))
    quote = {"run_id": own["run_id"], "customer": {"name": "x"}, "currency": "USD"}
    calls = 0
    for body in references(quote, foreign):
        status = scene.driver.send(seller, "POST", "/v1/quotes", body).status
        scene.expect(status in {404, 422}, "I3", f"a quote of another tenant's run was answered {status}")
        calls += 1
    for path in (
        f"/v1/runs?workload_id={foreign['workload_id']}",
        f"/v1/audit-events?resource_id={foreign['quote_id']}",
        f"/v1/quotes?run_id={foreign['run_id']}",
    ):
        answer = scene.driver.send(admin, "GET", path)
        items = (answer.json() or {}).get("items")
        scene.expect(not items, "I3", f"{path} of another tenant lists {len(items or ())}")
        calls += 1
    theirs = scene.driver.person("bolt", Role.ADMIN)
    for path in ("/v1/runs", "/v1/workloads", "/v1/quotes", "/v1/audit-events"):
        page = scene.driver.send(theirs, "GET", f"{path}?limit=1").json()
        if cursor := page.get("next_cursor"):
            mine = scene.driver.send(admin, "GET", f"{path}?limit=50&cursor={cursor}")
            ids = {item["id"] for item in (mine.json() or {}).get("items", ())}
            scene.expect(not ids & set(foreign.values()), "I3", f"{path} after a cursor of another tenant: {ids}")
            calls += 1
    tag = scene.driver.send(theirs, "GET", f"/v1/workloads/{foreign['workload_id']}").headers["etag"]
    answer = scene.driver.send(admin, "GET", f"/v1/workloads/{own['workload_id']}", headers={"If-None-Match": tag})
    scene.expect(answer.status == 200, "I3", f"a tag of another tenant's was answered {answer.status}")
    return calls + 1


@case(37, "one workload of two tenants with other prices")
def shared_question(scene: Scene) -> None:
    """The sizing is one; a price of one tenant is in no answer of the other."""
    question = scene.questions.fresh()
    jobs = [scene.job(question, tenant=tenant) for tenant in ("acme", "bolt")]
    runs = []
    for job in jobs:
        assert job is not None
        scene.driver.follow(job)
        runs.append(scene.driver.send(scene.driver.person(job.tenant), "GET", f"/v1/runs/{job.run_id}").json())
    scene.expect(runs[0]["digest"] == runs[1]["digest"], "I5", "one question of two tenants has two identities")
    scene.expect(runs[0]["result"] == runs[1]["result"], "I5", "one question of two tenants has two answers")
    quotes = {tenant: scene.shop(tenant).issued()["document"] for tenant in ("acme", "bolt")}
    books = {quote["price_book"]["digest"] for quote in quotes.values()}
    scene.expect(len(books) == len(quotes), "I3", "two tenants with other prices are quoted from one price book")
    for tenant, other in (("acme", "bolt"), ("bolt", "acme")):
        told = [json.dumps(quotes[tenant]), *(json.dumps(run) for run in runs)]
        scene.expect(PRICES[tenant] in told[0], "I6", f"the quote of {tenant} is not at its prices")
        scene.expect(not any(PRICES[other] in words for words in told), "I3", f"{tenant} is told prices of {other}")


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
