"""Real worker, dispatcher and broker, killed in the middle: every run ends exactly once."""

import json
import os
import signal
import time
from dataclasses import replace

import pytest
import redis
from sqlalchemy import func, select, text

from scripts.children import stop
from scripts.embedded import EmbeddedServer, ServerRole, start_server
from service.planning.health import readiness
from service.planning.reading import get_run
from service.planning.submit import submit
from service.queue import TaskName
from service.runtime import Facts, build_runtime
from service.store.tables.runs import ResultRow, RunRow
from tests.planning.conftest import chat
from tests.workers.conftest import eventually, hasty_limits, on_sqlite, own_limits

pytestmark = pytest.mark.slow


def ended(web, caller, run_id):
    run = get_run(web, caller, run_id)
    return run if run.finished_at else None


def wait_for_end(web, caller, run_id, processes, *, within_s=30):
    def say() -> str:
        return (
            f"{get_run(web, caller, run_id)}\n{processes.log('worker')[-3000:]}\n{processes.log('dispatcher')[-3000:]}"
        )

    return eventually(lambda: ended(web, caller, run_id), within_s=within_s, say=say)


def answers(web) -> int:
    with web.sessions() as session:
        return session.scalar(select(func.count()).select_from(ResultRow))


def cut_every_connection(web) -> None:
    """As a restart of the server does to pools."""
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    with web.sessions() as session:
        session.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))


def test_a_worker_killed_in_the_middle_completes_exactly_once_after_restart(web, acme, processes, gate):
    (gate / "gate").touch()
    processes.dispatcher()
    worker = processes.worker()
    run = submit(web, acme, chat(), request_id="req_1")
    eventually((gate / "started").exists, say=lambda: processes.log("worker"))
    assert get_run(web, acme, run.id).status == "running"
    processes.kill(worker)
    (gate / "gate").unlink()
    (gate / "started").unlink()
    assert get_run(web, acme, run.id).status == "running"
    processes.worker()
    done = wait_for_end(web, acme, run.id, processes)
    assert (done.status, done.attempts) == ("done", 2)
    assert answers(web) == 1
    # Whoever else may still hold the message must not write again: it comes before the next one, to the only process.
    assert web.queue.enqueue(TaskName.SIZE_WORKLOAD, run.id)
    after = submit(web, acme, chat(isl_tokens=700), request_id="req_2")
    assert wait_for_end(web, acme, after.id, processes).status == "done"
    assert get_run(web, acme, run.id) == done
    again = submit(web, acme, chat(), request_id="req_3")
    assert (again.status, again.cached, again.result) == ("done", True, done.result)


@on_sqlite
def test_a_child_killed_in_the_middle_is_tried_again(web, acme, processes, gate):
    (gate / "gate").touch()
    processes.dispatcher()
    processes.worker()
    run = submit(web, acme, chat(), request_id="req_1")
    eventually((gate / "started").exists, say=lambda: processes.log("worker"))
    child = int((gate / "started").read_text())
    # Whoever sizes yields to whoever answers, and the one that takes messages does not.
    assert os.getpriority(os.PRIO_PROCESS, child) == os.getpriority(os.PRIO_PROCESS, os.getpid()) + 10
    assert os.sched_getscheduler(child) == os.SCHED_BATCH
    (gate / "gate").unlink()
    os.kill(child, signal.SIGKILL)
    done = wait_for_end(web, acme, run.id, processes)
    assert done.status == "done"
    assert done.attempts <= 2
    assert answers(web) == 1


@on_sqlite
@hasty_limits
def test_the_soft_limit_ends_a_run_and_frees_the_worker(web, acme, processes, gate):
    """It waits and computes nothing, so it is tried again, three times and no more."""
    (gate / "gate").touch()
    processes.dispatcher()
    processes.worker()
    run = submit(web, acme, chat(), request_id="req_1")
    found = wait_for_end(web, acme, run.id, processes, within_s=60)
    assert (found.status, found.error.code, found.attempts) == ("failed", "time_limit", 4)
    (gate / "gate").unlink()
    other = submit(web, acme, chat(isl_tokens=700), request_id="req_2")
    assert eventually(lambda: ended(web, acme, other.id)).status == "done"


@on_sqlite
@hasty_limits
def test_a_run_over_which_its_worker_was_frozen_is_done_when_it_wakes_up(web, acme, processes, gate):
    """For longer than every limit and its lease: nothing was computed, so nothing took too long."""
    (gate / "gate").touch()
    processes.dispatcher()
    worker = processes.worker()
    run = submit(web, acme, chat(), request_id="req_1")
    eventually((gate / "started").exists, say=lambda: processes.log("worker"))
    os.killpg(worker.pid, signal.SIGSTOP)
    time.sleep(4.5)
    os.killpg(worker.pid, signal.SIGCONT)
    eventually(lambda: '"run_spared"' in processes.log("worker"), say=lambda: processes.log("worker"))
    (gate / "gate").unlink()
    assert wait_for_end(web, acme, run.id, processes).status == "done"
    assert worker.poll() is None


@own_limits
def test_wiping_broker_and_cache_loses_nothing(web, acme, processes, broker_url, cache_url):
    runs = [submit(web, acme, chat(isl_tokens=500 + n), request_id="req_1") for n in range(10)]
    for url in (broker_url, cache_url):
        with redis.Redis.from_url(url) as client:
            assert client.dbsize() > 0 or url == cache_url
            client.flushall()
    processes.worker("workers.app")
    processes.dispatcher()
    assert {wait_for_end(web, acme, run.id, processes).status for run in runs} == {"done"}
    with redis.Redis.from_url(broker_url) as client:
        client.flushall()
    late = submit(web, acme, chat(isl_tokens=900), request_id="req_2")
    done = wait_for_end(web, acme, late.id, processes)
    assert done.status == "done"
    with redis.Redis.from_url(cache_url) as client:
        client.flushall()
    again = submit(web, acme, chat(isl_tokens=900), request_id="req_3")
    assert (again.cached, again.result) == (True, done.result)
    assert readiness(web).ready
    if web.sessions.kw["bind"].dialect.name == "postgresql":
        cut_every_connection(web)
        after = submit(web, acme, chat(isl_tokens=901), request_id="req_4")
        assert wait_for_end(web, acme, after.id, processes).status == "done"
        assert [process.poll() for process in processes.started] == [None, None]
    with web.sessions() as session:
        assert session.scalar(select(func.max(RunRow.attempts))) == 1


@on_sqlite
@own_limits
def test_a_broker_killed_and_restarted_loses_nothing(web, acme, processes, tmp_path):
    """Its port refuses, runs are taken all the same and quickly; it comes back, and the same worker goes on."""
    server = EmbeddedServer(role=ServerRole.BROKER, folder=tmp_path / "broker")
    broker = start_server(server, log=tmp_path / "broker.log")
    processes.environment["BROKER_URL"] = server.url
    own = build_runtime(
        replace(web.settings, broker_url=server.url, breaker_open_s=0.5),
        facts=Facts(catalog=web.catalog, price_book=web.price_book),
    )
    try:
        processes.worker("workers.app")
        processes.dispatcher()
        first = submit(own, acme, chat(), request_id="req_1")
        assert wait_for_end(own, acme, first.id, processes).status == "done"
        broker.kill()
        broker.wait(5)
        started = time.monotonic()
        runs = [submit(own, acme, chat(isl_tokens=500 + n), request_id="req_2") for n in range(5)]
        assert time.monotonic() - started < 2
        assert {run.status for run in runs} == {"queued"}
        assert "broker" in [check.name for check in readiness(own).checks if not check.ok]
        broker = start_server(server, log=tmp_path / "broker.log")
        assert {wait_for_end(own, acme, run.id, processes).status for run in runs} == {"done"}
        assert answers(own) == 6
    finally:
        stop(broker, within_s=5)
        own.sessions.kw["bind"].dispose()


@on_sqlite
@own_limits
def test_a_dispatcher_killed_is_replaced_and_both_kinds_leave_cleanly(web, acme, processes, broker_url):
    """Logs are JSON with the ids of tenant, run and request, and nobody complains about root."""
    leader = processes.dispatcher()
    eventually(lambda: "dispatcher_leads" in processes.log("dispatcher"))
    processes.kill(leader)
    run = submit(web, acme, chat(), request_id="req_77")
    with redis.Redis.from_url(broker_url) as client:
        client.flushall()
    standby = processes.dispatcher()
    worker = processes.worker("workers.app")
    assert wait_for_end(web, acme, run.id, processes).status == "done"
    standby.send_signal(signal.SIGTERM)
    assert standby.wait(10) == 0
    assert "dispatcher_stopped" in processes.log("dispatcher")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    log = processes.log("worker")
    assert "superuser" not in log
    [line] = [json.loads(line) for line in log.splitlines() if '"run_done"' in line]
    assert (line["run_id"], line["request_id"], line["tenant_id"]) == (run.id, "req_77", acme.tenant_id)
