"""The broker dies while every process of a real worker is busy: the same worker goes on as soon as it is back."""

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from scripts.children import stop
from scripts.embedded import EmbeddedServer, ServerRole, start_server
from service.planning.submit import submit
from service.runtime import Facts, Runtime, build_runtime
from service.store.tables.runs import OPEN, ResultRow, RunRow
from tests.planning.conftest import caller_of, chat
from tests.workers.conftest import eventually

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
ROUNDS = 3
RUNS = 12
SLOTS = 2
# Measured: 0.4 to 1.4 s; without the mend, never.
BACK_WITHIN_S = 30
# A run waits at the gate for as long as the broker takes to die and to come back, on however slow a machine: no limit
# and no lease may end in that time, or runs would be tried again for a reason that this test is not about.
PATIENT = {
    "HEADROOM_TASK_SOFT_LIMIT_S": "60",
    "HEADROOM_TASK_HARD_LIMIT_S": "70",
    "HEADROOM_LEASE_S": "80",
    "HEADROOM_VISIBILITY_TIMEOUT_S": "140",
    "HEADROOM_WORKER_DEAF_AFTER_S": "90",
}


@dataclass(slots=True, kw_only=True)
class Mortal:
    """A broker that can be killed and comes back at the same address with what its file holds."""

    server: EmbeddedServer
    log: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)

    def restart(self) -> None:
        self.process = start_server(self.server, log=self.log)


@pytest.fixture
def mortal(tmp_path, processes) -> Iterator[Mortal]:
    server = EmbeddedServer(role=ServerRole.BROKER, folder=tmp_path / "broker")
    log = tmp_path / "broker.log"
    broker = Mortal(server=server, log=log, process=start_server(server, log=log))
    processes.environment |= PATIENT | {"BROKER_URL": server.url}
    yield broker
    stop(broker.process, within_s=5)


@pytest.fixture
def held(web, mortal) -> Iterator[Runtime]:
    """A web process that rings at the mortal broker."""
    settings = replace(web.settings, broker_url=mortal.server.url, breaker_open_s=0.5)
    runtime = build_runtime(settings, facts=Facts(catalog=web.catalog, price_book=web.price_book))
    yield runtime
    runtime.sessions.kw["bind"].dispose()


def count(held: Runtime, *where) -> int:
    with held.sessions() as session:
        return session.scalar(select(func.count()).select_from(RunRow).where(*where))


@pytest.mark.parametrize("back_first", [False, True])
def test_a_broker_killed_under_load_stops_no_worker(held, mortal, processes, gate, back_first):
    """Every slot is taken, so nobody listens at the dead connection; acknowledged while it is away, or once it is back.

    The same worker takes the next message soon after, no run is tried twice, and none has two answers.
    """
    caller = caller_of(held, "acme")
    processes.dispatcher()
    worker = processes.worker(concurrency=SLOTS)

    def say() -> str:
        return processes.log("worker")[-5000:]

    for turn in range(ROUNDS):
        (gate / "gate").touch()
        for n in range(RUNS):
            submit(held, caller, chat(isl_tokens=500 + turn * RUNS + n), request_id="req_1")
        eventually(lambda: count(held, RunRow.status == "running") == SLOTS, say=say)
        mortal.kill()
        if back_first:
            mortal.restart()
        (gate / "gate").unlink()
        if not back_first:
            acknowledged_to_nobody = turn * RUNS + SLOTS
            eventually(lambda n=acknowledged_to_nobody: count(held, RunRow.status == "done") == n, say=say)
            time.sleep(0.2)
            mortal.restart()
        eventually(lambda: count(held, RunRow.status.in_(OPEN)) == 0, within_s=BACK_WITHIN_S, say=say)
    assert worker.poll() is None
    assert count(held, RunRow.status == "done", RunRow.attempts == 1) == ROUNDS * RUNS
    with held.sessions() as session:
        assert session.scalar(select(func.count()).select_from(ResultRow)) == ROUNDS * RUNS
