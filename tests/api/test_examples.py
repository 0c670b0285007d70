"""The examples of the document: every body is posted and answered, every answer is one that the service gives today."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from config.environment import ROOT
from service.access import Role
from service.edge.examples import ALIKE, ANSWERS, answer_examples, request_examples
from service.planning.execute import execute
from service.planning.heartbeat import DISPATCHER, WORKER, beat
from service.planning.schedule.due import ring
from service.runtime import Runtime
from service.schemas.science import APPLICATION_TEMPLATES
from tests.api.conftest import Speaker
from tests.api.selling import QUOTES, SMALL, Shop, open_shop
from tests.contract import Contract
from tests.schemas.requests import changed

FOLDER = ROOT / "config" / "examples"
WORKLOADS = request_examples("postWorkload", FOLDER)
ESTIMATES = request_examples("postEstimate", FOLDER)
PRICE_BOOKS = request_examples("postPriceBook", FOLDER)
ACTIVATIONS = request_examples("activatePriceBook", FOLDER)
QUOTE_BODIES = request_examples("postQuote", FOLDER)
KEYS = request_examples("postKey", FOLDER)
KEY_ROTATIONS = request_examples("rotateKey", FOLDER)
BATCHES = request_examples("postBatch", FOLDER)
WEBHOOKS = request_examples("postWebhook", FOLDER)
ROTATIONS = request_examples("rotateWebhookSecret", FOLDER)
# Nobody's.
SECRET = "whsec_the-secret-of-an-example"
SCHEDULES = request_examples("postSchedule", FOLDER)
JSON = "application/json"


SMALL_BATCH = [SMALL, {**SMALL, "workload": {**SMALL["workload"], "model": "lama-3.1-8b"}}]


def unanswerable(_held: Runtime, _question: str) -> Any:
    raise RuntimeError("an engine that fails")


def operations(document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield method, path, operation


def members(value: Any, place: str = "") -> set[str]:
    """Every place of a value that has a name; the items of a list are one place."""
    if isinstance(value, list):
        return set().union(*(members(item, f"{place}[]") for item in value))
    if not isinstance(value, dict):
        return set()
    return {f"{place}.{name}" for name in value}.union(
        *(members(item, f"{place}.{name}") for name, item in value.items())
    )


@pytest.fixture
def tour(acme: Speaker, speaker, work, runtime: Runtime, document) -> dict[str, dict[str, Any]]:
    """An answer of every operation, by its id and status."""
    posted = acme.post("/v1/workloads", SMALL)
    work()
    run, workload = posted.json["id"], posted.json["workload_id"]
    other = acme.post("/v1/workloads", {**SMALL, "constraints": {**SMALL["constraints"], "max_racks": 2}}).json["id"]
    open_run = acme.post("/v1/workloads", {**SMALL, "constraints": {**SMALL["constraints"], "max_racks": 3}}).json["id"]
    for role in (WORKER, DISPATCHER):
        beat(runtime, f"{role}:1", role=role)
    taken = [
        posted,
        acme.post(f"/v1/runs/{open_run}/cancel"),
        acme.post("/v1/workloads", SMALL),
        acme.post("/v1/estimates", ESTIMATES["science-folding"]),
        acme.get("/v1/workloads?limit=1"),
        acme.get(f"/v1/workloads/{workload}"),
        acme.get(f"/v1/workloads/{workload}/runs"),
        acme.get("/v1/runs?limit=1"),
        acme.get(f"/v1/runs/{run}"),
        acme.get(f"/v1/runs/{run}/options/1/working"),
        acme.get("/v1/accuracy?limit=1"),
        acme.get("/v1/accuracy/summary?kind=training&gpu=b300-sxm"),
        posted_batch := acme.post("/v1/batches", SMALL_BATCH),
        acme.post("/v1/batches?dry_run=true", SMALL_BATCH),
        acme.get("/healthz"),
        acme.get("/readyz"),
        acme.get("/problems/unknown-reference", Accept=JSON),
    ]
    work()
    batch = f"/v1/batches/{posted_batch.json['id']}"
    taken += [
        acme.get(batch),
        acme.get(f"{batch}/items"),
        acme.get("/v1/batches?limit=1"),
        acme.post(f"{acme.post('/v1/batches', [SMALL]).headers['Location']}/cancel"),
    ]
    longer = {**SMALL, "workload": {**SMALL["workload"], "isl_tokens": 2000}}
    taken += [
        acme.get(f"/v1/runs/{run}/diff/{other}"),
        acme.put(f"/v1/workloads/{workload}", longer, If_Match="*"),
        acme.put(f"/v1/workloads/{workload}", SMALL, If_Match="*"),
        acme.get(f"/v1/workloads/{workload}/versions?limit=1"),
        acme.get(f"/v1/workloads/{workload}/versions/1"),
        speaker("acme", Role.ADMIN).get(f"/v1/audit-events?resource_id={workload}&limit=1"),
    ]
    admin = speaker("acme", Role.ADMIN)
    book = admin.post("/v1/price-books", PRICE_BOOKS["price-book-with-lead-times"])
    tag = {"If_Match": book.headers["ETag"]}
    taken += [
        book,
        acme.get("/v1/price-books?limit=1"),
        acme.get(book.headers["Location"]),
        admin.post(
            f"{book.headers['Location']}/activate", {"effective_from": datetime.now(UTC).date().isoformat()}, **tag
        ),
    ]
    key = admin.post("/v1/keys", KEYS["key-of-a-seller"])
    hopeless = acme.post("/v1/workloads", changed(SMALL, "workload.isl_tokens", 1234)).json["id"]
    execute(runtime, hopeless, solve=unanswerable)
    taken += [
        key,
        admin.get("/v1/keys?limit=1"),
        admin.get(key.headers["Location"]),
        admin.post(f"{key.headers['Location']}/rotate", KEY_ROTATIONS["key-rotation"]),
        admin.post(f"{key.headers['Location']}/revoke"),
        admin.get("/v1/tenant"),
        speaker("acme", Role.OPERATOR).get("/v1/dead-letters?limit=1"),
    ]
    taken += scheduled(admin, work, runtime)
    taken += hooked(admin)
    taken += quoted(open_shop(speaker, work, "seller"))
    for resource, record in (
        ("gpus", "b200-sxm"), ("servers", ""), ("cpu-servers", ""), ("networks", ""), ("storage", ""), ("racks", ""),
        ("models", "llama-3.1-8b"), ("applications", "roofline"),
    ):  # fmt: skip
        page = acme.get(f"/v1/catalog/{resource}?limit=1")
        taken += [page, acme.get(f"/v1/catalog/{resource}/{record or page.json['items'][0]['id']}")]
    by_operation: dict[str, dict[str, Any]] = {}
    contract = Contract(document)
    for answer in taken:
        assert answer.status_code < 300, answer.request.path
        operation = document["paths"][contract.template(answer.request.path)][answer.request.method.lower()]
        if operation["operationId"] not in ALIKE:
            # No key and no secret is shown, not even one that opens nothing.
            told_once = {"token": "hr_6f1f5c1e6f0a_told-once", "secret": SECRET}
            shown = answer.json | {name: value for name, value in told_once.items() if name in answer.json}
            by_operation.setdefault(operation["operationId"], {})[str(answer.status_code)] = shown
    return by_operation


def hooked(admin: Speaker) -> list[Any]:
    """An answer of every operation of webhooks."""
    made = admin.post("/v1/webhooks", WEBHOOKS["webhook-runs"])
    path = made.headers["Location"]
    pinged = admin.post(f"{path}/ping")
    delivery = pinged.headers["Location"]
    anew = {"If_Match": "*"}
    ended = admin.put(path, {**WEBHOOKS["webhook-runs"], "enabled": False}, **anew)
    admin.put(path, WEBHOOKS["webhook-runs"], **anew)
    return [
        made,
        admin.get("/v1/webhooks?limit=1"),
        admin.get(path),
        pinged,
        ended,
        admin.get(f"{path}/deliveries?limit=1"),
        admin.get(delivery),
        admin.post(f"{delivery}/replay"),
        admin.post(f"{path}/rotate", {}, **anew),
    ]


def scheduled(admin: Speaker, work, runtime: Runtime) -> list[Any]:
    """An answer of every operation of schedules, and of an occurrence that moved nothing."""
    body = SCHEDULES["nightly-care"]
    posted = admin.post("/v1/schedules", {**body, "selection": {}})
    path = posted.headers["Location"]
    occurrence = admin.post(f"{path}/run")
    work()
    while ring(runtime):
        work()
    place = occurrence.headers["Location"]
    return [
        posted,
        occurrence,
        admin.get(place),
        admin.get(f"{place}/items?limit=1"),
        admin.get(f"{path}/occurrences"),
        admin.get("/v1/schedules?limit=1"),
        admin.get(path),
        admin.get(f"{path}/preview"),
        admin.post("/v1/schedules/preview", {**body, "selection": {}}),
        admin.put(path, body, If_Match="*"),
        admin.post(f"{path}/pause", If_Match="*"),
        admin.post(f"{path}/resume", If_Match="*"),
    ]


def quoted(shop: Shop) -> list[Any]:
    """An answer of every operation of quotes; each is short."""
    shop.stock()
    first, second = shop.draft(tco={"electricity_price_kwh": "0.18"}), shop.draft(discount_fraction="0.2")
    ended = shop.draft(valid_days=2)
    path = first.headers["Location"]
    reason = {"reason": "The discount on support is above what this customer got before."}
    taken = [
        first,
        shop.step("submit", first.json["id"]),
        shop.step("reject", first.json["id"], reason),
        shop.seller.put(path, shop.body(), If_Match="*"),
        shop.seller.get(path),
        shop.seller.get(f"{path}.json"),
        shop.seller.get(f"{QUOTES}?at_risk=true&limit=1"),
    ]
    for name in ("submit", "approve", "issue"):
        taken += [shop.step(name, first.json["id"]), shop.step(name, second.json["id"])]
    taken += [
        shop.step("accept", first.json["id"], {"accepted_by": "Head of purchasing", "reference": "PO 4711"}),
        shop.step("decline", second.json["id"], {"reason": "The project was postponed to next year."}),
        shop.step("withdraw", ended.json["id"], reason),
    ]
    shop.stock(price="1050.00")
    revised = shop.step("revise", second.json["id"], {})
    taken += [
        revised,
        shop.seller.get(f"{path}/revisions"),
        shop.seller.get(f"{second.headers['Location']}/diff/{revised.json['id']}"),
    ]
    return taken


def test_the_answers_in_the_document_have_what_answers_have_today(tour, pytestconfig):
    if pytestconfig.getoption("write_examples"):
        (FOLDER / ANSWERS).write_text(json.dumps(tour, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    stored = answer_examples(FOLDER)
    again = "pytest tests/api/test_examples.py --write-examples writes them anew, for the next start to show"
    assert {name: set(answers) for name, answers in stored.items()} == {
        name: set(answers) for name, answers in tour.items()
    }, again
    for name, answers in tour.items():
        for status, answer in answers.items():
            assert members(stored[name][status]) == members(answer), f"{name} {status}: {again}"


def test_every_success_has_an_example_that_fits_its_schema(contract: Contract):
    for method, path, operation in operations(contract.document):
        for status, response in operation["responses"].items():
            # Not 503: what is missing is told in the same shape. Not the document, which would hold itself.
            refused = int(status) >= 300
            if refused or JSON not in response.get("content", {}) or operation["operationId"] == "getDocument":
                continue
            shown = response["content"][JSON].get("examples")
            assert shown, f"{operation['operationId']} {status}: the tour above must visit it"
            escaped = path.replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
            pointer = f"#/paths/{escaped}/{method}/responses/{status}/content/application~1json/schema"
            for example in shown.values():
                assert list(contract.body_faults(contract.resolve(example)["value"], pointer)) == []


def test_every_body_that_can_be_sent_is_shown(document):
    for method, path, operation in operations(document):
        if "requestBody" in operation:
            shown = operation["requestBody"]["content"][JSON]["examples"]
            assert len(shown) >= 3, f"{method} {path}"
    templates = {APPLICATION_TEMPLATES.get(body["workload"].get("application")) for body in WORKLOADS.values()}
    assert templates == {None, *APPLICATION_TEMPLATES.values()}
    assert {body["workload"]["kind"] for body in (*WORKLOADS.values(), *ESTIMATES.values())} == {
        "inference",
        "training",
        "science",
    }


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_every_workload_that_is_shown_is_answered(name, acme: Speaker, work):
    posted = acme.post("/v1/workloads", WORKLOADS[name])
    assert posted.status_code == 202, posted.text
    work()
    run = acme.get(posted.headers["Location"]).json
    assert run["status"] == "done"
    assert run["feasible"] is True


@pytest.mark.parametrize("name", sorted(BATCHES))
def test_every_batch_that_is_shown_is_answered(name, acme: Speaker, work):
    posted = acme.post("/v1/batches", BATCHES[name])
    assert posted.status_code == 202, posted.text
    work()
    counts = acme.get(posted.headers["Location"]).json["counts"]
    assert counts["done"] == len(BATCHES[name]) - ("wrong" in name)


@pytest.mark.parametrize("name", sorted(ESTIMATES))
def test_every_estimate_that_is_shown_is_answered(name, acme: Speaker):
    answer = acme.post("/v1/estimates", ESTIMATES[name])
    assert answer.status_code == 200, answer.text
    assert answer.json["fits"] is True


@pytest.mark.parametrize("name", sorted(PRICE_BOOKS))
def test_every_price_book_that_is_shown_is_stored_and_every_activation_taken(name, speaker):
    admin = speaker("acme", Role.ADMIN)
    posted = admin.post("/v1/price-books", {**PRICE_BOOKS[name], "expires_on": None})
    assert posted.status_code == 201, posted.text
    for body in ACTIVATIONS.values():
        assert admin.post(f"{posted.headers['Location']}/activate", body, If_Match="*").status_code == 200


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_every_schedule_that_is_shown_is_made(name, speaker):
    posted = speaker("acme", Role.ADMIN).post("/v1/schedules", SCHEDULES[name])
    assert posted.status_code == 201, posted.text


def test_every_quote_that_is_shown_is_written(speaker, work):
    shop = open_shop(speaker, work)
    for name, body in QUOTE_BODIES.items():
        lines = {} if "line_discounts" not in body else {"line_discounts": {"support": "0.12"}}
        answer = shop.seller.post(QUOTES, {**body, "run_id": shop.run_id, **lines})
        assert answer.status_code == 201, (name, answer.text)


def test_every_webhook_that_is_shown_is_made_and_every_rotation_done(speaker):
    admin = speaker("acme", Role.ADMIN)
    for name, body in WEBHOOKS.items():
        posted = admin.post("/v1/webhooks", body)
        assert posted.status_code == 201, (name, posted.text)
        for rotation in ROTATIONS.values():
            assert admin.post(f"{posted.headers['Location']}/rotate", rotation, If_Match="*").status_code == 200
