"""The product as a person starts it: scripts/run on a folder and a port of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from config.environment import ROOT
from scripts import nearby
from scripts.children import free_port
from tests.contract import Contract
from tests.workers.conftest import gate, limits, processes, web  # noqa: F401 - fixtures

READY_WITHIN_S = 90.0
STOPPED_WITHIN_S = 40.0
WEB_PROCESSES = 2
# A real start would have none of these; the tests' own servers must not leak into it.
FOREIGN = ("DATABASE_URL", "BROKER_URL", "CACHE_URL")


def starter_environ(**changes: str) -> dict[str, str]:
    """The environment of a starter: the virtual environment that runs the tests, and nothing of an installation."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADROOM_")}
    for name in (*FOREIGN, "COLUMNS"):
        kept.pop(name, None)
    return {**kept, "HEADROOM_VENV": sys.prefix, **changes}


@dataclass(frozen=True, kw_only=True)
class Started:
    """A running scripts/run."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    output: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def key(self, role: str = "requester") -> str:
        return json.loads((self.folder / "keys.json").read_text())["keys"][role]

    def client(self) -> httpx.Client:
        """A client whose every answer is held against the document that the server itself gives."""
        headers = {"Authorization": f"Bearer {self.key()}"}
        contract = Contract(nearby.get(f"{self.address}/openapi.json").json())
        return httpx.Client(
            base_url=self.address,
            headers=headers,
            timeout=40.0,
            trust_env=False,
            event_hooks={"response": [contract.check_httpx]},
        )

    def wait_until(self, happened: Callable[[], object], *, within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not happened():
            assert time.monotonic() < deadline, f"{what} did not happen within {within_s:g} s; it said:\n{self.said()}"
            time.sleep(0.1)

    def ready(self) -> bool:
        # A web process that is still starting does not hear SIGTERM yet, so both must be up, not only the first.
        log = self.folder / "logs" / "web.log"
        if not log.exists() or log.read_text(errors="replace").count("Started worker-") < WEB_PROCESSES:
            return False
        return nearby.is_well(f"{self.address}/readyz", within_s=2.0)


def descendants(pid: int) -> set[int]:
    """Every living process that a process started, directly or not."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found: set[int] = set()
    grown = {pid}
    while grown:
        grown = {child for child, parent in parents.items() if parent in grown} - found
        found |= grown
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    living = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in {"Z", "X"}:
            living.add(pid)
    return living


def children(started: Started) -> Iterator[tuple[int, str, str]]:
    """Id, command line and working folder of the direct children."""
    for pid in descendants(started.process.pid):
        process = Path(f"/proc/{pid}")
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == started.process.pid:
                yield pid, (process / "cmdline").read_bytes().decode(), str((process / "cwd").readlink())
        except OSError:
            continue


def worker_of(started: Started) -> int:
    """The one that sizes: what delivers to webhooks is a worker too, and its process may have either number."""
    [worker] = [pid for pid, command, _ in children(started) if "celery" in command and "--pool" not in command]
    return worker


def server_of(started: Started, role: str) -> int:
    """A server changes its title, and keeps its folder."""
    return next(pid for pid, _, folder in children(started) if folder == str(started.folder / role))


@contextmanager
def running(folder: Path, *options: str, **environ: str) -> Iterator[Started]:
    """scripts/run, stopped at the end however the test went."""
    port = free_port()
    output = folder.parent / f"{folder.name}.out"
    with output.open("ab") as said:
        process = subprocess.Popen(
            [str(ROOT / "scripts" / "run"), "--data-dir", str(folder), "--port", str(port), *options],
            cwd=folder.parent,
            env=starter_environ(**environ),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    started = Started(process=process, folder=folder, port=port, output=output)
    try:
        yield started
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                left = descendants(process.pid) | {process.pid}
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                process.wait()
                raise


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """One product for all tests that leave it as they found it; while others run, it would only take their time."""
    with running(tmp_path_factory.mktemp("product") / "data", "--no-examples") as started:
        started.wait_until(started.ready, within_s=READY_WITHIN_S, what="ready")
        yield started
