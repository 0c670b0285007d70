"""The second line: a worker that takes no message although messages wait ends itself, so that a new one is started."""

import os
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog
from billiard.process import active_children

from service.queue import Queue, QueueName

log = structlog.get_logger(__name__)

_LOOKS_PER_PERIOD = 10


def waiting(queue: Queue, listened: Iterable[QueueName]) -> int | None:
    """Messages that wait in the queues that are listened to; None while the broker does not answer."""
    depths = [queue.depth(name) for name in listened]
    return None if None in depths else sum(depth or 0 for depth in depths)


def end_process() -> None:
    """End this worker and its processes at once, with an exit code that makes its supervisor start it again."""
    for child in active_children():
        os.kill(child.pid, signal.SIGKILL)
    os._exit(os.EX_SOFTWARE)


@dataclass(slots=True, kw_only=True)
class Watchdog:
    """Watches from a thread of its own, because the loop that it watches may hang.

    It counts looks and no seconds: those pass too while the whole worker is frozen or gets no time, and then nothing
    could come in.
    """

    waiting: Callable[[], int | None]
    deaf_after_s: float
    end: Callable[[], None] = end_process
    stopped: threading.Event = field(default_factory=threading.Event)
    silent_looks: int = 0

    def heard(self) -> None:
        """A message came in, or there was none that could have come."""
        self.silent_looks = 0

    def look(self) -> bool:
        """Whether messages have waited for too long, at a broker that answers, while none came in."""
        if self.waiting():
            self.silent_looks += 1
        else:
            self.heard()
        return self.silent_looks > _LOOKS_PER_PERIOD

    def run(self) -> None:
        """Look again and again until stopped."""
        while not self.stopped.wait(self.deaf_after_s / _LOOKS_PER_PERIOD):
            if self.look() and not self.stopped.is_set():
                log.critical(
                    "worker_deaf", silent_s=round(self.silent_looks * self.deaf_after_s / _LOOKS_PER_PERIOD, 1)
                )
                self.end()
                return

    def start(self) -> None:
        """Watch in the background."""
        threading.Thread(target=self.run, name="watchdog", daemon=True).start()
