"""Real processes: worker and dispatcher, with short clocks, on each database, with real broker and cache."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.environment import ROOT
from service.runtime import Runtime, build_runtime
from tests.planning.conftest import (  # noqa: F401 - fixtures
    build,
    caller,
    caller_of,
    clock,
    database_url,
    emptied_postgresql,
    facts,
    migrated_file,
    migrated_postgresql,
    queue,
    runtime,
)

CLOCKS = {
    "HEADROOM_TASK_SOFT_LIMIT_S": "1",
    "HEADROOM_TASK_HARD_LIMIT_S": "2",
    "HEADROOM_LEASE_S": "2.5",
    "HEADROOM_VISIBILITY_TIMEOUT_S": "4",
    "HEADROOM_OUTBOX_POLL_S": "0.2",
    "HEADROOM_SWEEP_INTERVAL_S": "0.5",
    "HEADROOM_RESEND_AFTER_S": "1",
    "HEADROOM_DISPATCHER_LEASE_S": "2",
    "HEADROOM_WORKER_CONCURRENCY": "1",
    "HEADROOM_LOG_LEVEL": "INFO",
}


class Processes:
    """Starts processes in groups of their own, so that a whole one can be killed at once, and ends them all."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def worker(self, app: str = "tests.workers.slow_app", *, concurrency: int = 1) -> subprocess.Popen[bytes]:
        options = ("--queues", "interactive,batch", "--concurrency", str(concurrency), "--loglevel", "INFO")
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        return self.start("worker", "-m", "celery", "--app", app, "worker", *options, *quiet)

    def dispatcher(self) -> subprocess.Popen[bytes]:
        return self.start("dispatcher", "-m", "workers.dispatcher")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to the whole group: parent and children at once."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    folder = tmp_path / "gate"
    folder.mkdir()
    return folder


@pytest.fixture
def processes(settings: Any, database_url: str, gate: Path, tmp_path: Path) -> Iterator[Processes]:  # noqa: F811
    environment = os.environ | CLOCKS
    environment |= {
        "DATABASE_URL": database_url,
        "BROKER_URL": settings.broker_url,
        "CACHE_URL": settings.cache_url,
        "HEADROOM_DATA_DIR": str(tmp_path / "data"),
        "HEADROOM_TEST_GATE": str(gate),
        "OMP_NUM_THREADS": "1",
    }
    found = Processes(environment, tmp_path)
    yield found
    found.end()


@pytest.fixture
def web(settings: Any, database_url: str, facts: Any) -> Iterator[Runtime]:  # noqa: F811
    """What a web process holds: real queue, real clock."""
    values = {name: getattr(settings, name) for name in settings.__slots__}
    runtime = build_runtime(type(settings)(**{**values, "database_url": database_url}), facts=facts)  # noqa: F811
    yield runtime
    runtime.sessions.kw["bind"].dispose()


def eventually(what: Callable[[], Any], *, within_s: float = 30, say: Callable[[], str] = str) -> Any:
    """What `what` gives, as soon as it gives something."""
    deadline = time.monotonic() + within_s
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s\n{say()}")
        time.sleep(0.05)
