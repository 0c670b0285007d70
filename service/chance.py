"""Chance: random bytes of the operating system, fetched for many askers at once.

Each question to the system lets another thread of Python go first, and coming back takes longer than the answer.
"""

import os
import threading

_FETCHED_BYTES = 4096


class _Chance:
    """What was fetched and not given to anybody yet."""

    def __init__(self) -> None:
        self._begin()
        # Two processes must never give the same.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._fetched = b""
        self._given = 0

    def take(self, count: int) -> bytes:
        """So many bytes that nobody else gets."""
        with self._lock:
            start, end = self._given, self._given + count
            if end > len(self._fetched):
                self._fetched = os.urandom(max(count, _FETCHED_BYTES))
                start, end = 0, count
            self._given = end
            return self._fetched[start:end]


_chance = _Chance()


def chance(count: int) -> bytes:
    """So many random bytes, fit for what nobody may guess."""
    return _chance.take(count)
