"""/metrics of the real product: web processes, worker and dispatcher count together, whoever is asked."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scripts import nearby
from tests.e2e.conftest import WEB_PROCESSES, Started

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("product")]
WORKLOAD = {
    "workload": {
        "kind": "inference",
        "model": "llama-3.1-8b",
        "isl_tokens": 731,
        "osl_tokens": 97,
        "demand": {"concurrency": 16},
    }
}


def scrape(started: Started, name: str, **labels: str) -> float:
    # A connection of its own: each time another web process may answer.
    answer = nearby.get(f"{started.address}/metrics", within_s=10.0)
    assert answer.status_code == 200
    found = [
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found)


def test_all_processes_count_together(product: Started):
    health = {"route": "/healthz", "method": "GET", "status": "2xx"}
    before = scrape(product, "headroom_http_requests_total", **health)
    for _ in range(40):
        nearby.get(f"{product.address}/healthz", within_s=10.0)
    told = {scrape(product, "headroom_http_requests_total", **health) for _ in range(8)}
    assert told == {before + 40}
    # Two web processes, at least one process of the worker, the dispatcher.
    assert len(list((product.folder / "metrics").glob("counter_*.db"))) >= WEB_PROCESSES + 2


def test_the_worker_and_the_dispatcher_are_heard(product: Started):
    before = scrape(product, "headroom_sizings_total", outcome="feasible")
    with product.client() as client:
        done = client.post("/v1/workloads", json=WORKLOAD, headers={"Prefer": "wait=30"})
        assert done.json()["status"] == "done"
    assert scrape(product, "headroom_sizings_total", outcome="feasible") == before + 1
    assert scrape(product, "headroom_sizing_duration_seconds_count", kind="inference") >= 1
    assert scrape(product, "headroom_part_up") == 3
    assert scrape(product, "headroom_processes", role="worker") >= 1
    product.wait_until(
        lambda: scrape(product, "headroom_dispatcher_sweeps_total", outcome="done"), within_s=30.0, what="a sweep"
    )
