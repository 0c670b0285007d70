"""Recent keys: who held a key a moment ago need not be looked up again while a client sends many requests.

One of the many looks the key up again before the moment is over: else all that are under way would do so at its end.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from service.access import Caller
from service.planning.keys import hash_of

_MOST_KEYS = 4096
# Of its memory: how long a key is taken as it is before somebody renews it.
_FRESH = 0.75


class _Known(NamedTuple):
    caller: Caller
    until_s: float
    # Until then nobody needs to look the key up: it was just done, or somebody is about it.
    fresh_until_s: float


class RecentKeys:
    """Callers by the SHA-256 of their token, for so short a time that a revoked key is refused almost at once."""

    def __init__(self, memory_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._memory_s = memory_s
        self._monotonic = monotonic
        self._callers: dict[bytes, _Known] = {}

    def caller(self, token: str, look_up: Callable[[], Caller]) -> Caller:
        """Who holds the token, looked up unless that was done a moment ago; what `look_up` raises is not remembered."""
        fingerprint = hash_of(token)
        known = self._callers.get(fingerprint)
        if known is None or known.until_s <= self._monotonic():
            return self._looked_up(fingerprint, look_up)
        return known.caller

    def known(self, token: str, look_up: Callable[[], Caller]) -> Caller | None:
        """Who holds the token, where that was looked up a moment ago; now and then the caller has to renew it."""
        fingerprint, now_s = hash_of(token), self._monotonic()
        known = self._callers.get(fingerprint)
        if known is None or known.until_s <= now_s:
            return None
        if known.fresh_until_s > now_s:
            return known.caller
        with self._lock:
            if self._callers.get(fingerprint) is not known:
                # Somebody else has just begun to renew it.
                return known.caller
            self._callers[fingerprint] = known._replace(fresh_until_s=known.until_s)
        return self._looked_up(fingerprint, look_up)

    def last_holder(self, token: str) -> Caller | None:
        """Who held the token when it was last looked up, however long ago: good for no permission."""
        known = self._callers.get(hash_of(token))
        return None if known is None else known.caller

    def _looked_up(self, fingerprint: bytes, look_up: Callable[[], Caller]) -> Caller:
        try:
            caller = look_up()
        except Exception:
            with self._lock:
                self._callers.pop(fingerprint, None)
            raise
        now_s = self._monotonic()
        with self._lock:
            if len(self._callers) >= _MOST_KEYS:
                self._callers = {key: known for key, known in self._callers.items() if known.until_s > now_s}
            if len(self._callers) < _MOST_KEYS:
                known = _Known(caller, now_s + self._memory_s, now_s + self._memory_s * _FRESH)
                self._callers[fingerprint] = known
        return caller
