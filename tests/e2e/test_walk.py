"""The main job on real processes: HTTP, broker, worker, cache; and what is left when some of them are killed."""

import os
import signal
import time

import pytest
import redis

from tests.e2e.conftest import server_of, worker_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("product")]

OPEN = {"queued", "running"}


def chat(concurrency: int) -> dict[str, object]:
    """A question that no other test asks."""
    return {
        "name": f"chat {concurrency}",
        "workload": {
            "kind": "inference",
            "model": "llama-3.1-8b",
            "isl_tokens": 1000,
            "osl_tokens": 200,
            "demand": {"concurrency": concurrency},
            "slo": {"ttft_ms": 2000, "tpot_ms": 50},
        },
    }


def follow(client, run, *, within_s=60.0):
    deadline = time.monotonic() + within_s
    while run["status"] in OPEN:
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
        answer = client.get(f"/v1/runs/{run['id']}")
        assert answer.status_code == 200, answer.text
        run = answer.json()
    return run


def server_url(product, role):
    """The address of an embedded server, from the configuration that scripts/run wrote."""
    lines = dict(line.split(" ", 1) for line in (product.folder / role / "server.conf").read_text().splitlines())
    return f"redis://:{lines['requirepass']}@127.0.0.1:{lines['port']}/0"


def test_a_workload_becomes_sized_servers(product):
    with product.client() as client:
        answer = client.post("/v1/workloads", json=chat(11))
        assert answer.status_code == 202, answer.text
        run = answer.json()
        assert answer.headers["Location"].endswith(f"/v1/runs/{run['id']}")
        run = follow(client, run)
        assert run["status"] == "done"
        assert run["attempts"] == 1
        best = run["result"]["options"][0]
        assert best["servers"] >= 1
        assert (
            best["metrics"]["ttft_ms"]["p10"] <= best["metrics"]["ttft_ms"]["p50"] <= best["metrics"]["ttft_ms"]["p90"]
        )


def test_the_same_question_in_other_words_needs_no_task(product):
    body = chat(12)
    workload = dict(reversed(body["workload"].items())) | {"isl_tokens": {"mean": 1e3}, "weight_precision": "auto"}
    with product.client() as client:
        first = follow(client, client.post("/v1/workloads", json=body).json())
        again = client.post("/v1/workloads", json={"workload": workload, "name": "again", "constraints": {}})
        assert again.status_code == 200
        assert again.json()["cached"] is True
        assert again.json()["result"] == first["result"]
        assert again.json()["digest"] == first["digest"]


def test_prefer_wait_answers_in_one_request(product):
    with product.client() as client:
        answer = client.post("/v1/workloads", json=chat(13), headers={"Prefer": "wait=20"})
        assert answer.status_code == 200
        assert answer.json()["status"] == "done"


def test_a_killed_worker_is_started_again_and_finishes_what_waited(product):
    os.kill(worker_of(product), signal.SIGKILL)
    with product.client() as client:
        run = follow(client, client.post("/v1/workloads", json=chat(14)).json())
        runs = client.get(f"/v1/workloads/{run['workload_id']}/runs").json()
    assert run["status"] == "done"
    assert len(next(value for value in runs.values() if isinstance(value, list))) == 1
    assert "worker was ended by SIGKILL; starting it again" in product.said()


def test_a_killed_broker_loses_no_run(product):
    os.kill(server_of(product, "broker"), signal.SIGKILL)
    with product.client() as client:
        answer = client.post("/v1/workloads", json=chat(15))
        assert answer.status_code == 202, answer.text
        assert follow(client, answer.json())["status"] == "done"
    product.wait_until(product.ready, within_s=30, what="ready again")


def test_flushed_servers_lose_no_run_and_change_no_answer(product):
    with product.client() as client:
        first = follow(client, client.post("/v1/workloads", json=chat(16)).json())
        for role in ("broker", "cache"):
            with redis.Redis.from_url(server_url(product, role)) as server:
                server.flushall()
        again = follow(client, client.post("/v1/workloads", json=chat(16)).json())
        assert again["result"] == first["result"]
        assert client.get(f"/v1/runs/{first['id']}").json()["result"] == first["result"]


def test_readiness_names_every_part(product):
    with product.client() as client:
        state = client.get("/readyz").json()
    assert {check["name"] for check in state["checks"]} >= {"database", "broker", "cache", "worker", "dispatcher"}
    assert all(check["ok"] for check in state["checks"]), state


def test_logs_hold_no_key_and_no_password(product):
    secrets = [product.key(role) for role in ("requester", "admin")]
    secrets += [server_url(product, role).split(":")[2].split("@")[0] for role in ("broker", "cache")]
    logs = list((product.folder / "logs").glob("*.log"))
    assert len(logs) >= 5
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        assert not any(secret in text for secret in secrets), log
