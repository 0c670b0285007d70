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
from service.access import Caller
from service.runtime import Runtime, build_runtime
from tests.planning.conftest import build, caller, caller_of, clock, runtime  # noqa: F401 - fixtures


def limits_of(*, soft_s: int, hard_s: int, lease_s: float, visibility_s: int) -> dict[str, str]:
    """When a run is asked to stop, is killed, may be claimed by another, and its message returns."""
    return {
        "HEADROOM_TASK_SOFT_LIMIT_S": str(soft_s),
        "HEADROOM_TASK_HARD_LIMIT_S": str(hard_s),
        "HEADROOM_LEASE_S": str(lease_s),
        "HEADROOM_VISIBILITY_TIMEOUT_S": str(visibility_s),
    }


# Short enough to wait for the lease of a worker that was killed, long enough for an honest sizing, and for a test to
# kill it in the middle, on a busy machine.
SHORT_LIMITS = limits_of(soft_s=4, hard_s=5, lease_s=6, visibility_s=10)
CLOCKS = {
    "HEADROOM_OUTBOX_POLL_S": "0.2",
    "HEADROOM_SWEEP_INTERVAL_S": "0.5",
    "HEADROOM_RESEND_AFTER_S": "1",
    "HEADROOM_DISPATCHER_LEASE_S": "2",
    "HEADROOM_WORKER_CONCURRENCY": "1",
    "HEADROOM_LOG_LEVEL": "INFO",
}

# For tests that wait for a limit itself.
hasty_limits = pytest.mark.parametrize(
    "limits", [limits_of(soft_s=2, hard_s=3, lease_s=3.5, visibility_s=5)], ids=["hasty limits"], indirect=True
)
# For tests that are about something else: many at once may make a sizing slow, and what is slow is not wrong.
own_limits = pytest.mark.parametrize("limits", [{}], ids=["own limits"], indirect=True)
# What does not depend on the database is tried on one of them.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


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
def limits(request: pytest.FixtureRequest) -> dict[str, str]:
    """The limits of a run; what a test does not name is the product's own."""
    return getattr(request, "param", SHORT_LIMITS)


@pytest.fixture
def processes(
    settings: Any,
    database_url: str,
    gate: Path,
    limits: dict[str, str],
    tmp_path: Path,
) -> Iterator[Processes]:
    environment = os.environ | CLOCKS | limits
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
def web(settings: Any, database_url: str, facts: Any) -> Iterator[Runtime]:
    """What a web process holds: real queue, real clock."""
    values = {name: getattr(settings, name) for name in settings.__slots__}
    held = build_runtime(type(settings)(**{**values, "database_url": database_url}), facts=facts)
    yield held
    held.sessions.kw["bind"].dispose()


@pytest.fixture
def acme(web: Runtime) -> Caller:
    """Somebody who may ask for sizings."""
    return caller_of(web, "acme")


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
