"""What worker and dispatcher write while runs are lost, killed and given up: one JSON object per line."""

import json
import os
import signal

import pytest
import redis

from service.planning.reading import get_run
from service.planning.submit import submit
from tests.planning.conftest import caller_of, chat
from tests.workers.conftest import eventually, limits_of, own_limits

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
# The lease of a worker that died is waited for three times.
SHORT_LEASE = limits_of(soft_s=2, hard_s=3, lease_s=3.2, visibility_s=7)


def lines(processes, name):
    return [json.loads(line) for line in processes.log(name).splitlines() if line]


def about(processes, name, run, event):
    """The lines of an event that tell all ids of a run."""
    ids = (run.id, run.tenant_id, run.request_id)
    return [
        line
        for line in lines(processes, name)
        if line["event"] == event and tuple(line.get(key) for key in ("run_id", "tenant_id", "request_id")) == ids
    ]


def ended(web, caller, run):
    return get_run(web, caller, run.id).finished_at


@own_limits
def test_runs_that_the_broker_lost_are_rung_in_a_line_each(web, processes, broker_url):
    acme = caller_of(web, "acme")
    runs = [submit(web, acme, chat(isl_tokens=500 + n), request_id=f"req_{n}") for n in range(3)]
    with redis.Redis.from_url(broker_url) as client:
        client.flushall()
    processes.dispatcher()
    processes.worker("workers.app")
    for run in runs:
        eventually(lambda run=run: ended(web, acme, run), say=lambda: processes.log("dispatcher"))
        (rung, *_) = about(processes, "dispatcher", run, "run_rung")
        assert (rung["process"], rung["rung_by"]) == ("dispatcher", "sweeper")
        eventually(lambda run=run: about(processes, "worker", run, "run_done"))


def test_runs_that_nobody_rang_are_relayed_in_a_line_each(web, processes, broker_url):
    acme = caller_of(web, "acme")
    with redis.Redis.from_url(broker_url) as client:
        # Takes no message: the run is committed, and nobody can ring.
        client.config_set("maxmemory", 1)
        try:
            run = submit(web, acme, chat(), request_id="req_unrung")
        finally:
            client.config_set("maxmemory", 0)
    processes.dispatcher()
    eventually(lambda: about(processes, "dispatcher", run, "run_rung"), say=lambda: processes.log("dispatcher"))
    (rung, *_) = about(processes, "dispatcher", run, "run_rung")
    assert rung["rung_by"] == "relay"


@pytest.mark.parametrize("limits", [SHORT_LEASE], ids=["short lease"], indirect=True)
def test_a_run_that_kills_its_worker_is_given_up_after_three_attempts_and_its_lines_can_be_read(web, processes, gate):
    acme = caller_of(web, "acme")
    (gate / "poison").touch()
    processes.dispatcher()
    processes.worker()
    run = submit(web, acme, chat(), request_id="req_poison")
    eventually(lambda: ended(web, acme, run), within_s=60, say=lambda: processes.log("worker"))
    failed = get_run(web, acme, run.id)
    assert (failed.status, failed.error.code, failed.attempts) == ("failed", "poison", 3)
    (poisoned,) = eventually(lambda: about(processes, "dispatcher", run, "run_poisoned"))
    assert (poisoned["level"], poisoned["attempts"], poisoned["kind"]) == ("error", 3, "inference")
    claimed = about(processes, "worker", run, "run_claimed")
    assert [line["attempt"] for line in claimed] == [1, 2, 3]
    crashes = [line for line in lines(processes, "worker") if line.get("exception")]
    # Whichever of the pool's two watches notices first.
    noticed = {crash["exception"][0]["exc_type"] for crash in crashes}
    assert noticed <= {"WorkerLostError", "TimeLimitExceeded"}
    assert noticed
    assert all("locals" not in frame for crash in crashes for frame in crash["exception"][0]["frames"])
    # Nothing of this run stands in what the same process says about the next.
    (gate / "poison").unlink()
    other = submit(web, acme, chat(isl_tokens=700), request_id="req_other")
    eventually(lambda: about(processes, "worker", other, "run_done"))
    assert get_run(web, acme, other.id).status == "done"
    assert not [line for line in lines(processes, "worker") if {run.id, "req_other"} <= set(map(str, line.values()))]


def test_a_worker_that_is_stopped_says_so_in_lines_too(web, processes):
    worker = processes.worker("workers.app")
    eventually(lambda: "worker_ready" in processes.log("worker"))
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(20) == 0
    assert {"worker_ready", "worker_stopping", "worker_says"} <= {line["event"] for line in lines(processes, "worker")}
    assert all(line["process"] == "worker" for line in lines(processes, "worker"))
