"""What a tenant has: one resource of each kind, made through the API, and what the service says of itself."""

from collections.abc import Mapping
from typing import Any

from scripts.faulting.load import body_of
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
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
    return {
        "workload_id": run["workload_id"],
        "run_id": shop.run_id,
        "other_id": other_job.run_id,
        "batch_id": batch["id"],
        "price_book_id": books[0]["id"],
        "quote_id": quote["id"],
        "other_quote_id": draft["id"],
        **_configured(shop),
    }


def _configured(shop: Shop) -> dict[str, str]:
    """What an administrator makes, named with the tenant's canary."""
    name = f"of {shop.driver.person(shop.tenant).canary}"

    def made(path: str, body: object = None) -> str:
        return str(shop.call(Role.ADMIN, "POST", path, body).json()["id"])

    selection = {"labels": {"of": only_of(shop.tenant)}}
    nightly = {"name": name, "selection": selection, "cron": "0 3 * * *"}
    made("/v1/schedules", nightly | {"name": only_of(shop.tenant)})
    schedule_id = made("/v1/schedules", nightly)
    hook = {"name": name, "url": "http://127.77.0.1:9/x", "events": ["run.done"], "enabled": True}
    webhook_id = made("/v1/webhooks", hook)
    return {
        "webhook_id": webhook_id,
        "delivery_id": made(f"/v1/webhooks/{webhook_id}/ping"),
        "key_id": made("/v1/keys", {"principal": name, "role": "requester"}),
        "schedule_id": schedule_id,
        "occurrence_id": made(f"/v1/schedules/{schedule_id}/run"),
    }
