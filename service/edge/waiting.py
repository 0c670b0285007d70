"""`Prefer: wait=N`: wait for a run inside the request, with at most half of the server's threads."""

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:;.*)?", re.ASCII | re.IGNORECASE)
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.25


def preferred_wait_s(header: str, *, most_s: int) -> int:
    """Seconds that the Prefer header asks to wait, at most `most_s`; 0 when it asks for none (RFC 7240)."""
    for preference in header.split(","):
        match = _WAIT.fullmatch(preference)
        if match:
            return min(int(match.group(1)), most_s)
    return 0


class WaitingRoom:
    """So many requests may wait at once; the next one is answered without waiting."""

    def __init__(self, seats: int) -> None:
        self._seats = threading.BoundedSemaphore(max(1, seats))

    def wait(self, look: Callable[[], T], *, until: Callable[[T], bool], timeout_s: float) -> T | None:
        """What `look` sees once `until` holds or the time is over; None when there is no seat."""
        if not self._seats.acquire(blocking=False):
            return None
        try:
            return _watch(look, until=until, timeout_s=timeout_s)
        finally:
            self._seats.release()


def _watch(look: Callable[[], T], *, until: Callable[[T], bool], timeout_s: float) -> T:
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        seen = look()
        left_s = deadline - time.monotonic()
        if until(seen) or left_s <= 0:
            return seen
        time.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
