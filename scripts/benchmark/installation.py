"""An installation to measure: everything that scripts/run starts, on free ports, in a folder that is thrown away."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from config.environment import ROOT
from scripts import folder
from scripts.benchmark import procfs
from scripts.children import free_port
from scripts.processes import Process, product, served
from scripts.serve import (
    Plan,
    address_of,
    make_keys,
    make_plan,
    migrate,
    start_product,
    start_servers,
    wait_until_served,
)
from scripts.supervisor import Child, Supervisor
from scripts.trouble import Trouble
from service.access import Role

# How large an installation is belongs to what is measured; where somebody's own one lies does not.
_KEPT = frozenset({"HEADROOM_WEB_WORKERS", "HEADROOM_WEB_THREADS", "HEADROOM_WEB_CORES", "HEADROOM_WORKER_CONCURRENCY"})
_LEFT_ASIDE = frozenset({"DATABASE_URL", "BROKER_URL", "CACHE_URL"})
# Rate limits stay on. Above what a core answers, and not far: calls are drawn in portions of the limit, and with an
# endless one they would never be drawn again.
_CALLS_S_CORE = 100_000
_WORKER_STARTED = "Started worker-"
_WORKER_READY = "worker_ready"
_UP_WITHIN_S = 60.0


def bench_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without an installation's addresses, folders, clocks and limits: a bench is a flood."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT or not (name.startswith("HEADROOM_") or name in _LEFT_ASIDE)
    }
    above_the_load = str(_CALLS_S_CORE * len(os.sched_getaffinity(0)))
    limits = {
        "HEADROOM_RATE_WINDOW_S": "1",
        "HEADROOM_RATE_LIMIT_READS": above_the_load,
        "HEADROOM_RATE_LIMIT_WRITES": above_the_load,
    }
    return {**kept, **limits}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A running product with a key of its demo tenant. What is started beside it ends with it."""

    plan: Plan
    supervisor: Supervisor
    address: str
    keys: Mapping[Role, str]

    @property
    def product(self) -> list[Child]:
        """The product's own children: web, worker, dispatcher, broker, cache."""
        return self.supervisor.children[: len(self.plan.servers) + len(product(self.plan.settings))]

    @property
    def key(self) -> str:
        """The requester's key."""
        return self.keys[Role.REQUESTER]

    def client(self, role: Role = Role.REQUESTER) -> httpx.Client:
        """Speaks to the API as somebody of that role."""
        headers = {"Authorization": f"Bearer {self.keys[role]}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60.0, trust_env=False)

    def beside(self, process: Process, *, environ: Mapping[str, str] | None = None) -> Child:
        """Start another process beside the product."""
        child = Child(
            name=process.name,
            command=process.command,
            cwd=ROOT,
            log=self.plan.logs / f"{process.name}.log",
            environ={**self.plan.environ, **(environ or {})},
        )
        self.supervisor.add(child)
        return child

    def renew(self, name: str, environ: Mapping[str, str]) -> None:
        """End a worker, and return once it is there again with this beside its environment."""
        child = next(each for each in self.product if each.name == name)
        before = _said(child, _WORKER_READY)
        self.supervisor.renew(child, {**self.plan.environ, **environ})
        _wait_until(child, lambda: _said(child, _WORKER_READY) > before)

    def served_beside(self, name: str, factory: str, *, environ: Mapping[str, str] | None = None) -> tuple[Child, str]:
        """Serve another application with the product's own server and settings; the process and its address."""
        settings = replace(self.plan.settings, web_port=free_port())
        process = served(settings, name=name, factory=factory, threads=settings.web_threads)
        child = self.beside(process, environ=environ)
        wait_for_web_workers(child, settings.web_workers)
        return child, address_of(settings)

    def check_alive(self) -> None:
        """Trouble when a process ended: nothing that is measured afterwards would mean anything."""
        for child in self.supervisor.children:
            if child.process is not None and child.process.poll() is not None:
                raise Trouble(f"{child.name} ended while it was measured: {last_words(child)}")


def last_words(child: Child) -> str:
    """The end of a process's log; its folder is gone afterwards."""
    lines = child.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def pids(child: Child) -> list[int]:
    """A child and everybody who descends from it."""
    return [] if child.process is None else procfs.family(child.process.pid)


def wait_for_web_workers(child: Child, count: int) -> None:
    """Return once every process of a web server serves: the first one that answers would be measured alone."""
    _wait_until(child, lambda: _said(child, _WORKER_STARTED) >= count)


def _said(child: Child, words: str) -> int:
    return child.log.read_text(encoding="utf-8", errors="replace").count(words)


def _wait_until(child: Child, up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _UP_WITHIN_S
    while not up():
        if child.process is not None and child.process.poll() is not None:
            raise Trouble(f"{child.name} does not start: {last_words(child)}")
        if time.monotonic() > deadline:
            raise Trouble(f"{child.name} was not up within {_UP_WITHIN_S:g} s: {last_words(child)}")
        time.sleep(0.05)


@contextmanager
def installed(supervisor: Supervisor, say: Callable[[str], None]) -> Iterator[Installation]:
    """A product that is up; the caller's supervisor stops it, and the folder goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="headroom-bench-") as name:
        try:
            yield _start(Path(name), supervisor, say)
        finally:
            say("stopping the installation")
            supervisor.stop()


def _start(data_dir: Path, supervisor: Supervisor, say: Callable[[str], None]) -> Installation:
    say("starting an installation on loopback")
    environ = bench_environ(os.environ)
    plan = make_plan(environ, data_dir=data_dir, logs=folder.make(data_dir), port=free_port())
    start_servers(plan, supervisor)
    migrate(plan)
    start_product(plan, supervisor)
    keys = make_keys(plan)
    wait_until_served(plan, supervisor)
    web_child = next(child for child in supervisor.children if child.name == "web")
    wait_for_web_workers(web_child, plan.settings.web_workers)
    return Installation(plan=plan, supervisor=supervisor, address=address_of(plan.settings), keys=keys)
