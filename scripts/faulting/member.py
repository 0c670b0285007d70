"""A process of the product on the rig: started, asked, paused and killed, alone or with all that descends from it."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts import nearby
from scripts.benchmark.procfs import family
from scripts.children import start, stop
from scripts.faulting.servers import kill_family
from scripts.processes import Process

_STARTED = re.compile(rb'"event":"(?:worker_ready|dispatcher_started)"')
_STOPPED_WITHIN_S = 20.0
_LOOKED_AT_EVERY_S = 0.5


def kill(pid: int) -> bool:
    """SIGKILL; False when it has just ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@dataclass(slots=True)
class Member:
    """A process of the product, in a process group of its own."""

    process: Process
    environ: Mapping[str, str]
    tree: Path
    log: Path
    port: int | None = None
    running: subprocess.Popen[bytes] | None = None
    _said_before: int = 0

    @property
    def address(self) -> str:
        """Of a web process."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def family(self) -> list[int]:
        """It and everybody who descends from it, at the moment."""
        return [] if self.running is None else family(self.running.pid)

    @property
    def children(self) -> list[int]:
        """Who descends from it, at the moment."""
        return self.family[1:]

    def has_child(self) -> bool:
        """Whether somebody descends from it, at the moment."""
        return bool(self.children)

    def start(self) -> None:
        """Start it, without waiting until it works."""
        with self.log.open("ab") as output:
            self._said_before = output.tell()
            self.running = start(self.process.command, cwd=self.tree, output=output, environ=self.environ)

    def works(self) -> bool:
        """Whether it has started up, as a web process answers and the others say."""
        if self.port is not None:
            return is_ready(self)
        with self.log.open("rb") as said:
            said.seek(self._said_before)
            return _STARTED.search(said.read()) is not None

    def kill(self) -> None:
        """SIGKILL to all of it at once."""
        kill_family(self.running)

    def terminate(self) -> None:
        """Ask it to end, and wait until it has."""
        if self.running is not None:
            stop(self.running, within_s=_STOPPED_WITHIN_S)

    def pause(self) -> None:
        """SIGSTOP to all of it: it lives, and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.running is not None
        for pid in family(self.running.pid):
            os.kill(pid, number)

    def kill_child(self, pid: int) -> bool:
        """SIGKILL to one of its children; False when that has just ended by itself."""
        return kill(pid)


def is_ready(web: Member) -> bool:
    """Whether a web process says that everything works."""
    return nearby.is_well(f"{web.address}/readyz", within_s=2.0)


@contextmanager
def supervised(members: Sequence[Member]) -> Iterator[None]:
    """In the block these are started again when they end, as a supervisor does: that of scripts/run, Docker, systemd.

    A web process survives the death of its worker, and ends itself where two follow each other within 5.5 s. Whatever
    stops the supervisor itself is raised at the end of the block: what was seen in it was seen without one.
    """
    over, stopped = threading.Event(), list[Exception]()

    def look() -> None:
        try:
            while not over.wait(_LOOKED_AT_EVERY_S):
                for member in members:
                    if member.running is None or member.running.poll() is not None:
                        member.start()
        except Exception as error:  # noqa: BLE001  # a thread has nobody who would hear of it
            stopped.append(error)

    supervisor = threading.Thread(target=look, name="supervisor")
    supervisor.start()
    try:
        yield
    finally:
        over.set()
        supervisor.join()
        if stopped:
            raise RuntimeError("the supervisor stopped, and nothing was started again") from stopped[0]
