"""Hosts: each with a working copy of the code, a data folder and a network of its own, before the same servers."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from config.environment import ROOT
from scripts.faulting.trees import UNFINISHED
from scripts.processes import DISPATCHER, MIGRATE
from tests.proxy import Proxy
from tests.workers.conftest import CLOCKS, SHORT_LIMITS

SERVERS = ("DATABASE_URL", "BROKER_URL", "CACHE_URL")
_CODE = ("service", "workers", "config", "scripts")
_TESTS = ("tests/__init__.py", "tests/workers/__init__.py", "tests/workers/slow_app.py")
_IGNORED = shutil.ignore_patterns(*UNFINISHED, "evidence", "bench*")


def copy_code(folder: Path) -> Path:
    """A working copy of the product, as an upgrade puts one beside the other."""
    for name in _CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=_IGNORED)
    for name in _TESTS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    # What is read beside the code, and large.
    (folder / "config" / "evidence").symlink_to(ROOT / "config" / "evidence")
    return folder


@dataclass(slots=True, kw_only=True)
class Host:
    """A machine: what it runs, and its cables to the servers."""

    folder: Path
    proxies: Mapping[str, Proxy]
    addresses: Mapping[str, str]
    more: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def gate(self) -> Path:
        """What its slow worker obeys."""
        return self.folder / "gate"

    def close_gate(self) -> None:
        (self.gate / "started").unlink(missing_ok=True)
        (self.gate / "gate").touch()

    def open_gate(self) -> None:
        (self.gate / "gate").unlink()

    def environ(self) -> dict[str, str]:
        reached = {name: through(self.addresses[name], self.proxies[name].port) for name in SERVERS}
        own = {"HEADROOM_DATA_DIR": str(self.folder / "data"), "HEADROOM_TEST_GATE": str(self.gate)}
        return os.environ | CLOCKS | SHORT_LIMITS | reached | own | {"OMP_NUM_THREADS": "1"} | self.more

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def worker(self, app: str = "tests.workers.slow_app") -> subprocess.Popen[bytes]:
        options = ("--queues", "interactive,batch", "--concurrency", "1", "--loglevel", "INFO")
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        return self.start("worker", "-m", "celery", "--app", app, "worker", *options, *quiet)

    def dispatcher(self) -> subprocess.Popen[bytes]:
        return self.start(DISPATCHER.name, *DISPATCHER.arguments)

    def migrate(self, *options: str) -> None:
        """Bring the database to what this copy knows, or with --to elsewhere."""
        assert self.start(MIGRATE.name, *MIGRATE.arguments, *options).wait(60) == 0, self.log(MIGRATE.name)

    def log(self, name: str = "worker") -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def cut_off(self) -> None:
        for proxy in self.proxies.values():
            proxy.cut()

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def through(url: str, port: int) -> str:
    """The same server, reached through a port of this machine."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{port}"))
