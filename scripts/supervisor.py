"""One parent for all processes: starts them again when they crash, stops every one of them when it ends."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from scripts.children import end_group, start, stop

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# A process that ran for this long was healthy: its next crash counts as the first.
HEALTHY_AFTER_S = 30.0
STOP_WITHIN_S = 10.0
LOG_LIMIT_BYTES = 20_000_000


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM: leave whatever is being waited for, and stop."""


@dataclass(slots=True, kw_only=True)
class Child:
    """A supervised process and how it has fared."""

    name: str
    command: tuple[str, ...]
    cwd: Path
    log: Path
    environ: Mapping[str, str] | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    crashes: int = 0
    restart_at: float | None = None

    def pause_s(self) -> float:
        """How long to wait before the next start: doubling with every crash in a row."""
        return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (self.crashes - 1)))


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """Keeps its children running. Children that were added first are stopped last."""

    say: Callable[[str], None]
    children: list[Child] = field(default_factory=list)
    stopping: bool = False

    def handle_signals(self) -> None:
        """From now on Ctrl-C and SIGTERM stop everything; a second one kills."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopping:
            self.say("Killing what is left.")
            for child in self.children:
                if child.process is not None:
                    end_group(child.process, signal.SIGKILL)
            return
        self.stopping = True
        raise Interrupted

    def add(self, child: Child) -> None:
        """Start a child and keep it running."""
        self.children.append(child)
        self._start(child)

    def renew(self, child: Child, environ: Mapping[str, str]) -> None:
        """End a child, and start it again in another environment."""
        if child.process is not None:
            stop(child.process, within_s=STOP_WITHIN_S)
        child.environ = environ
        self._start(child)

    def remove(self, child: Child) -> None:
        """End a child for good."""
        self.children.remove(child)
        if child.process is not None:
            stop(child.process, within_s=STOP_WITHIN_S)

    def _start(self, child: Child) -> None:
        child.log.parent.mkdir(parents=True, exist_ok=True)
        if child.log.exists() and child.log.stat().st_size > LOG_LIMIT_BYTES:
            child.log.replace(child.log.with_suffix(".log.1"))
        with child.log.open("ab") as output:
            child.process = start(child.command, cwd=child.cwd, output=output, environ=child.environ)
        child.started_at = time.monotonic()
        child.restart_at = None

    def tick(self) -> None:
        """Notice who ended, and start again whose pause is over."""
        now = time.monotonic()
        for child in self.children:
            if child.restart_at is not None:
                if now >= child.restart_at:
                    self._start(child)
            elif child.process is not None and (code := child.process.poll()) is not None:
                self._crashed(child, code, now)

    def _crashed(self, child: Child, code: int, now: float) -> None:
        assert child.process is not None
        # What the leader left behind would work beside its successor.
        end_group(child.process, signal.SIGKILL)
        child.crashes = 1 if now - child.started_at > HEALTHY_AFTER_S else child.crashes + 1
        child.restart_at = now + child.pause_s()
        self.say(f"{child.name} {_ending(code)}; starting it again in {child.pause_s():g} s (see {child.log}).")

    def wait(self, seconds: float) -> None:
        """Watch the children for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.tick()
            time.sleep(min(0.1, seconds))

    def stop(self) -> None:
        """Ask the product to end, then the servers that it uses; kill what does not."""
        self.stopping = True
        running = [child for child in reversed(self.children) if child.process is not None]
        servers = [child for child in running if child.name in {"broker", "cache"}]
        product = [child for child in running if child not in servers]
        for group in (product, servers):
            for child in group:
                if child.process is not None and child.process.poll() is None:
                    child.process.terminate()
            deadline = time.monotonic() + STOP_WITHIN_S
            for child in group:
                if child.process is not None:
                    stop(child.process, within_s=max(0.1, deadline - time.monotonic()))
