"""Breaker: after a failure of a neighbour, nobody waits for it again for a while."""

import threading
import time
from collections.abc import Callable


class Breaker:
    """Closed until a failure; then open for `open_s` seconds; then one caller at a time may try."""

    def __init__(self, open_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._open_s = open_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._retry_at: float | None = None

    def allows(self) -> bool:
        """Whether a call may be tried now. The one that tries after a failure holds the others off."""
        with self._lock:
            if self._retry_at is None:
                return True
            if self._monotonic() < self._retry_at:
                return False
            self._retry_at = self._monotonic() + self._open_s
            return True

    def succeeded(self) -> None:
        """The call worked: close."""
        with self._lock:
            self._retry_at = None

    def failed(self) -> None:
        """The call failed: open."""
        with self._lock:
            self._retry_at = self._monotonic() + self._open_s
