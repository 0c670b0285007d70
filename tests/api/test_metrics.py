"""/metrics: what a tenant does shows in numbers, under labels from small sets, with a fixed number of queries."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from scripts.children import free_port
from service.cache import ResultCache
from service.edge.context import attach
from service.edge.limits import limit_rates
from service.planning.batch.chunk import size_chunk
from service.planning.heartbeat import WORKER, beat
from service.planning.render import render
from service.planning.sweep import sweep
from service.planning.transact import transact
from service.queue import TaskName
from service.store import chunks
from tests.api.conftest import Speaker
from tests.api.selling import open_shop
from tests.api.test_estimates import ALL as ESTIMATES
from tests.schemas.requests import SMALL_CHAT, changed


@pytest.fixture
def scraped(app: Flask):
    """What Prometheus would read: sample name and labels -> value."""

    def scrape() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        answer = app.test_client().get("/metrics", headers={"Accept": "application/openmetrics-text, text/plain"})
        assert answer.status_code == 200
        assert answer.mimetype == "text/plain"
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    return scrape


def named(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_requests_are_counted_by_route_and_status(scraped, acme: Speaker):
    acme.get("/v1/runs/run_1")
    acme.get("/v1/runs/run_2")
    acme.post("/v1/workloads", {})
    found = scraped()
    route = "/v1/runs/<run_id>"
    assert found[named("headroom_http_requests_total", route=route, method="GET", status="4xx")] == 2
    assert found[named("headroom_http_request_duration_seconds_count", route=route, method="GET")] == 2
    assert found[named("headroom_http_requests_total", route="/v1/workloads", method="POST", status="4xx")] == 1


def test_what_callers_choose_is_no_label(scraped, app: Flask):
    client = app.test_client()
    for n in range(30):
        client.get(f"/nowhere/{n}")
        client.open("/v1/runs", method=f"BREW{n}")
        client.get(f"/v1/runs/canary-{n}")
        client.get(f"/problems/canary-{n}")
    found = scraped()
    assert found[named("headroom_http_requests_total", route="other", method="GET", status="4xx")] == 30
    assert found[named("headroom_http_requests_total", route="other", method="other", status="4xx")] == 30
    labels = {value for _, pairs in found for _, value in pairs}
    assert not any("canary" in label or "BREW" in label for label in labels)


def test_no_customer_is_named(scraped, acme: Speaker, work, runtime):
    run = acme.post("/v1/workloads", {**SMALL_CHAT, "name": "canary", "labels": {"canary": "canary"}}).json
    acme.get(f"/v1/runs/{run['id']}")
    work()
    text = str(scraped())
    for secret in (acme.tenant_id, "acme", "canary", run["id"], run["workload_id"], "llama"):
        assert secret not in text, secret


def test_a_run_is_counted_from_question_to_answer(scraped, acme: Speaker, work):
    acme.post("/v1/workloads", SMALL_CHAT)
    acme.post("/v1/workloads", SMALL_CHAT)
    before = scraped()
    assert before[named("headroom_runs_open", status="queued")] == 2
    assert before[named("headroom_runs_submitted_total", answer="queued")] == 1
    assert before[named("headroom_runs_submitted_total", answer="joined")] == 1
    assert before[named("headroom_result_cache_lookups_total", result="miss")] == 2
    work()
    acme.post("/v1/workloads", SMALL_CHAT)
    impossible = changed(SMALL_CHAT, "workload.slo", {"ttft_ms": 1, "tpot_ms": 0.1})
    acme.post("/v1/workloads", impossible)
    work()
    after = scraped()
    assert after[named("headroom_runs_open", status="queued")] == 0
    assert after[named("headroom_runs_submitted_total", answer="known")] == 1
    assert after[named("headroom_sizings_total", kind="inference", outcome="feasible")] == 1
    assert after[named("headroom_sizings_total", kind="inference", outcome="infeasible")] == 1
    assert after[named("headroom_sizing_duration_seconds_count", kind="inference")] == 2
    assert after[named("headroom_run_claims_total", kind="inference", attempt="first")] == 2
    assert after[named("headroom_run_waiting_seconds_count", kind="inference")] == 2


def test_the_state_is_looked_up_when_asked(scraped, acme: Speaker, runtime, app: Flask):
    assert scraped()[named("headroom_run_oldest_waiting_seconds")] == 0
    acme.post("/v1/workloads", SMALL_CHAT)
    beat(runtime, "worker:a", role=WORKER)
    later = replace(runtime, clock=lambda: runtime.clock() + timedelta(seconds=5))
    attach(app, later)
    found = scraped()
    assert 5 <= found[named("headroom_run_oldest_waiting_seconds")] < 60
    assert found[named("headroom_processes", role="worker")] == 1
    assert found[named("headroom_processes", role="dispatcher")] == 0
    assert found[named("headroom_part_up", part="database")] == 1
    assert found[named("headroom_part_up", part="cache")] == 1
    assert found[named("headroom_queue_messages", queue="interactive")] == 1
    attach(app, replace(runtime, clock=lambda: runtime.clock() + timedelta(seconds=60)))
    assert scraped()[named("headroom_processes", role="worker")] == 0


def test_a_sweep_tells_what_it_mended(scraped, runtime):
    sweep(runtime)
    found = scraped()
    assert found[named("headroom_dispatcher_sweeps_total", outcome="done")] == 1
    assert found[named("headroom_mended_total", what="lease_expired")] == 0


def test_parts_that_are_down_are_told_and_hide_nothing_else(scraped, app: Flask, runtime):
    gone = ResultCache(f"redis://127.0.0.1:{free_port()}/0", ttl_s=1)
    attach(app, replace(runtime, cache=gone))
    assert scraped()[named("headroom_part_up", part="cache")] == 0
    with runtime.sessions() as session:
        session.connection().exec_driver_sql("ALTER TABLE outbox RENAME TO elsewhere")
        session.commit()
    found = scraped()
    assert found[named("headroom_part_up", part="database")] == 0
    assert named("headroom_outbox_entries") not in found
    assert found[named("headroom_queue_messages", queue="interactive")] == 0


def test_a_scrape_asks_the_database_the_same_few_questions_however_much_is_stored(scraped, acme: Speaker, runtime):
    asked: list[str] = []
    engine = runtime.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    scraped()
    few = len([words for words in asked if words.startswith("SELECT")])
    assert few == 7, asked
    for racks in range(1, 6):
        acme.post("/v1/workloads", {**SMALL_CHAT, "constraints": {"max_racks": racks}})
    asked.clear()
    scraped()
    assert len([words for words in asked if words.startswith("SELECT")]) == few


def test_a_request_that_is_one_too_many_is_counted(scraped, app: Flask, acme: Speaker, runtime):
    limit_rates(app, replace(runtime.settings, rate_limit_reads=1))
    assert {acme.get("/v1/runs").status_code for _ in range(5)} == {200, 429}
    assert scraped()[named("headroom_rate_limited_total", limit="reads")] >= 3


AGES = {
    "headroom_batch_oldest_open_seconds",
    "headroom_batch_idle_seconds",
    "headroom_webhook_oldest_due_seconds",
    "headroom_document_oldest_waiting_seconds",
}


def ages(found) -> dict[str, float]:
    return {name: found[named(name)] for name in AGES}


def test_whatever_waits_has_an_age(scraped, speaker, work, runtime, app: Flask):
    queue = runtime.queue
    shop = open_shop(speaker, work, "acme")
    assert ages(scraped()) == dict.fromkeys(AGES, 0)
    quote = shop.draft().json
    assert shop.seller.get(f"/v1/quotes/{quote['id']}.pdf").status_code == 202
    shop.seller.post("/v1/batches", [SMALL_CHAT])
    webhook = shop.webhook("x", "https://hooks.example.com/x")
    queue.sent = [sent for sent in queue.sent if sent[0] is TaskName.SIZE_CHUNK]
    later = replace(runtime, clock=lambda: runtime.clock() + timedelta(seconds=500))
    attach(app, later)
    assert all(500 <= age < 510 for age in ages(scraped()).values()), ages(scraped())
    # What nobody may be sent is not late, and what is done is not old.
    shop.admin.delete(f"/v1/webhooks/{webhook['webhook_id']}", If_Match="*")
    work()
    render(runtime, quote["id"])
    assert ages(scraped()) == dict.fromkeys(AGES, 0)
    # A document that nobody has asked for since yesterday is waited for by nobody.
    shop.seller.get(f"/v1/quotes/{shop.draft().json['id']}.pdf")
    attach(app, replace(runtime, clock=lambda: runtime.clock() + timedelta(days=2)))
    assert scraped()[named("headroom_document_oldest_waiting_seconds")] == 0


def test_a_lost_worker_of_a_chunk_is_counted_by_the_next(scraped, acme, runtime):
    batch = acme.post("/v1/batches", [SMALL_CHAT]).json
    now, lease_s = runtime.clock(), runtime.settings.lease_s
    # A worker that took it and died.
    assert not transact(runtime, lambda session: chunks.claim(session, batch["id"], 0, now=now, lease_s=lease_s)).lapsed
    expired = named("headroom_mended_total", what="chunk_lease_expired")
    assert not size_chunk(runtime, batch["id"], 0)
    assert scraped()[expired] == 0
    later = replace(runtime, clock=lambda: runtime.clock() + timedelta(seconds=lease_s + 1))
    assert size_chunk(later, batch["id"], 0)
    assert scraped()[expired] == 1


def test_the_engine_is_timed_for_batches_and_estimates_too(scraped, acme: Speaker, work):
    acme.post("/v1/batches", [SMALL_CHAT])
    work()
    assert acme.post("/v1/estimates", ESTIMATES["chat"]).status_code == 200
    found = scraped()
    for of in ("batch", "estimate"):
        assert found[named("headroom_engine_call_duration_seconds_count", of=of, kind="inference")] == 1
