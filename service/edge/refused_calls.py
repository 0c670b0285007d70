"""Refused calls in the log: one line a second for each key that floods, with how many there were.

A line for each of them would be a flood of its own: of disks, and of the time of everybody else.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple, cast

import structlog
from flask import Flask

log = structlog.get_logger(__name__)

_EXTENSION = "headroom-refused-calls"
_EVERY_S = 1.0
Later = Callable[[float, Callable[[], None]], None]


class Refused(NamedTuple):
    """Whose calls are counted together."""

    tenant_id: str
    key_id: str
    kind: str


def _in_a_thread(seconds: float, work: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()


class RefusedCalls:
    """Counts for a second from the first one on, and then tells."""

    def __init__(self, later: Later = _in_a_thread) -> None:
        self._later = later
        self._lock = threading.Lock()
        self._counts: dict[Refused, int] = {}
        self._last_ids: dict[Refused, str] = {}
        self._awaited = False

    def add(self, refused: Refused, request_id: str) -> None:
        """One more."""
        with self._lock:
            self._counts[refused] = self._counts.get(refused, 0) + 1
            self._last_ids[refused] = request_id
            if self._awaited:
                return
            self._awaited = True
        try:
            self._later(_EVERY_S, self.tell)
        except RuntimeError:
            # No thread is to be had at the moment: the next one tries again.
            self._awaited = False

    def tell(self) -> None:
        """Write what was counted; the id is that of the last one, as an example."""
        with self._lock:
            counts, last_ids = self._counts, self._last_ids
            self._counts, self._last_ids, self._awaited = {}, {}, False
        for refused, count in counts.items():
            log.warning("calls_refused", count=count, request_id=last_ids[refused], **refused._asdict())


def tell_of_refused_calls(app: Flask, *, later: Later = _in_a_thread) -> None:
    """Give the application its count of refused calls; done again, it starts to count anew."""
    app.extensions[_EXTENSION] = RefusedCalls(later)


def refused_calls_of(app: Flask) -> RefusedCalls:
    """The count of an application."""
    return cast("RefusedCalls", app.extensions[_EXTENSION])
