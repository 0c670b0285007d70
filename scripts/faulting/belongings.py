"""What a tenant has: one resource of each kind, made through the API, and what the service says of itself."""

from collections.abc import Mapping
from typing import Any

from scripts.faulting.load import body_of
from scripts.faulting.scene import Scene
from service.access import Role


def document_of(scene: Scene) -> Mapping[str, Any]:
    """What the service says of itself."""
    document: Mapping[str, Any] = scene.driver.send(None, "GET", "/openapi.json").json()
    return document


def only_of(tenant: str) -> str:
    """What only this tenant calls things, and no canary: others may ask for it, and are told what they asked for."""
    return f"only-{tenant}"


def belongings(scene: Scene, tenant: str) -> dict[str, str]:
    """One resource of each kind of a tenant, by the name of the path parameter that names it."""
    shop = scene.shop(tenant)
    quote = shop.issued()
    draft = shop.draft(customer={"name": only_of(tenant)})
    run = shop.call(Role.SELLER, "GET", f"/v1/runs/{shop.run_id}").json()
    books = shop.call(Role.ADMIN, "GET", "/v1/price-books").json()["items"]
    own_word = {"name": only_of(tenant), "labels": {"of": only_of(tenant)}, "workload": scene.questions.fresh()}
    shop.call(Role.SELLER, "POST", "/v1/workloads", own_word)
    line = body_of(scene.driver.person(tenant), scene.questions.key(), scene.questions.fresh())
    batch = shop.call(Role.SELLER, "POST", "/v1/batches", [line]).json()
    other_job = scene.job(tenant=tenant)
    assert other_job is not None
    scene.driver.follow(other_job)
    key = shop.call(Role.ADMIN, "POST", "/v1/keys", {"principal": only_of(tenant), "role": "requester"}).json()
    nightly = {
        "name": only_of(tenant),
        "selection": {"labels": {"of": only_of(tenant)}},
        "cron": "0 3 * * *",
    }
    schedule = shop.call(Role.ADMIN, "POST", "/v1/schedules", nightly).json()
    occurrence = shop.call(Role.ADMIN, "POST", f"/v1/schedules/{schedule['id']}/run").json()
    hook = {"name": only_of(tenant), "url": "http://127.77.0.1:9/x", "events": ["run.done"], "enabled": True}
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
        "other_quote_id": draft["id"],
    }
