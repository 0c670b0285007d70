"""A run is followed through the logs of every process by its id and by the id of its request."""

import json
import os
import signal

import pytest

from tests.e2e.conftest import descendants, worker_of
from tests.e2e.test_walk import chat, follow

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("product")]

PROCESSES = ("dispatcher", "migrate", "web", "worker")
REQUIRED = {"timestamp", "level", "event", "logger", "process", "pid"}
CANARY = "Mercy Hospital"
HOSTILE = f'{CANARY}\r\n{{"event":"forged"}}\x1b[31m\u2028'


def lines_of(started, *names):
    """Every line of these processes, each of them one JSON object."""
    lines = []
    for name in names or PROCESSES:
        text = (started.folder / "logs" / f"{name}.log").read_bytes().decode()
        for line in text.splitlines():
            if line:
                fields = json.loads(line)
                assert fields.keys() >= REQUIRED, line
                assert (fields["process"], fields["timestamp"][-1]) == (name, "Z"), line
                lines.append(fields)
    return lines


def about(started, **ids):
    """(process, event) of the lines that carry these ids."""
    return [
        (line["process"], line["event"])
        for line in lines_of(started)
        if all(line.get(name) == value for name, value in ids.items())
    ]


def written(product, happened):
    """Lines come a moment after the answer."""
    product.wait_until(happened, within_s=30, what="the line")


def test_a_run_is_followed_by_its_id_and_by_its_request(product):
    walk = {
        *(("web", event) for event in ("request", "run_submitted", "run_rung")),
        *(("worker", event) for event in ("run_claimed", "run_done")),
    }
    with product.client() as client:
        first = client.post("/v1/workloads", json=chat(201), headers={"X-Request-Id": "follow-me-201"})
        run = follow(client, first.json())
        written(product, lambda: ("worker", "run_done") in about(product, run_id=run["id"]))
        assert set(about(product, request_id="follow-me-201")) == walk
        assert set(about(product, run_id=run["id"])) == walk
        again = client.post("/v1/workloads", json=chat(201), headers={"X-Request-Id": "follow-me-202"})
    written(product, lambda: ("web", "request") in about(product, request_id="follow-me-202"))
    assert about(product, run_id=again.json()["id"]) == [("web", "run_submitted"), ("web", "request")]
    told = [line for line in lines_of(product, "web", "worker") if line.get("request_id", "")[:-1] == "follow-me-20"]
    done = next(line for line in told if line["event"] == "run_done")
    assert (done["attempt"], done["kind"], done["feasible"]) == (1, "inference", True)
    assert done["duration_ms"] > 0
    http, cached = (line for line in told if line["event"] == "request")
    assert (http["method"], http["route"], http["path"], http["status"]) == ("POST", *["/v1/workloads"] * 2, 202)
    assert (http["bytes"], cached["status"]) == (len(first.content), 200)
    assert {line["tenant_id"] for line in told} == {run["tenant_id"] if "tenant_id" in run else http["tenant_id"]}
    hit = next(line for line in told if line["event"] == "run_submitted" and line["cached"])
    assert hit["answered_from"] in {"cache", "memory", "store"}


def test_ids_of_one_request_never_stand_in_lines_of_another(product):
    """More requests than threads, so every thread serves many."""
    with product.client() as client:
        ids = [f"other-{n}" for n in range(40)]
        for n, request_id in enumerate(ids):
            path = f"/v1/runs/run_{n}" if n % 2 else "/nowhere"
            headers = {"X-Request-Id": request_id} | ({} if n % 2 else {"Authorization": ""})
            assert client.get(path, headers=headers).status_code in {401, 404}
    written(product, lambda: ("web", "request") in about(product, request_id=ids[-1]))
    for n, request_id in enumerate(ids):
        (line,) = [line for line in lines_of(product, "web") if line.get("request_id") == request_id]
        assert line.get("run_id") == (f"run_{n}" if n % 2 else None)
        assert ("tenant_id" in line) == bool(n % 2)


def test_hostile_words_break_nothing_and_stand_nowhere(product):
    with product.client() as client:
        body = {**chat(203), "name": HOSTILE, "labels": {CANARY: HOSTILE}}
        answer = client.post("/v1/workloads", json=body, headers={"X-Request-Id": "hostile"})
        assert answer.status_code in {202, 422}, answer.text
        client.post("/v1/workloads", json={**chat(203), CANARY: 1})
        client.get("/v1/runs", params={"workload_id": HOSTILE})
        client.get("/healthz/%1b%5b31m%0d%0a%e2%80%a8%7b", headers={"X-Request-Id": '","event":"forged'})
        client.get("/v1/runs/" + product.key())
    written(product, lambda: any("u2028" in str(line) or "\u2028" in str(line) for line in lines_of(product, "web")))
    logs = "".join((product.folder / "logs" / f"{name}.log").read_text() for name in PROCESSES)
    assert logs.isascii()
    assert CANARY not in logs
    assert product.key() not in logs
    assert not any(line["event"] == "forged" for line in lines_of(product))


def test_a_crash_is_a_line_with_its_trace(product):
    worker = worker_of(product)
    child = min(descendants(worker))
    os.kill(child, signal.SIGKILL)

    def told():
        return [line for line in lines_of(product, "worker") if f"pid:{child} exited" in line["event"]]

    with product.client() as client:
        follow(client, client.post("/v1/workloads", json=chat(204)).json())
    written(product, told)
    assert told()[0]["level"] == "error"
