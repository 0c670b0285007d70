"""Readiness of a moment ago: whoever asks for it needs no key, so asking often must cost the parts nothing."""

import threading
import time
from collections.abc import Callable
from typing import cast

from flask import Flask, current_app

from service.edge.context import runtime
from service.planning.health import Readiness, readiness

KEPT_S = 1.0
_EXTENSION = "headroom-recent-readiness"


class RecentReadiness:
    """The readiness that was looked up last, for a second; of many who ask at once one looks, and the others wait."""

    def __init__(self, look: Callable[[], Readiness], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: tuple[float, Readiness] | None = None

    def __call__(self) -> Readiness:
        """What was found at most a second ago, else what is found now."""
        with self._lock:
            if self._kept is None or self._monotonic() - self._kept[0] >= KEPT_S:
                found = self._look()
                # A look may take long; what it found is as old as its end.
                self._kept = self._monotonic(), found
            return self._kept[1]


def keep_readiness(app: Flask, *, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Let the application keep its readiness for a moment; done again, it has seen nothing yet."""
    app.extensions[_EXTENSION] = RecentReadiness(lambda: readiness(runtime()), monotonic=monotonic)


def recent_readiness() -> Readiness:
    """The readiness of the application that serves this request."""
    return cast("RecentReadiness", current_app.extensions[_EXTENSION])()
