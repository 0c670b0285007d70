"""Recent keys: who held a key a moment ago need not be looked up again while a client sends many requests."""

import hashlib
import threading
import time
from collections.abc import Callable

from cachetools import TTLCache

from service.access import Caller

_MOST_KEYS = 4096


class RecentKeys:
    """Callers by the SHA-256 of their token, for so short a time that a revoked key is refused almost at once."""

    def __init__(self, memory_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._callers: TTLCache[bytes, Caller] = TTLCache(_MOST_KEYS, ttl=memory_s, timer=monotonic)

    def caller(self, token: str, look_up: Callable[[], Caller]) -> Caller:
        """Who holds the token, looked up unless that was done a moment ago; what `look_up` raises is not remembered."""
        known = self.known(token)
        if known is not None:
            return known
        caller = look_up()
        with self._lock:
            self._callers[_fingerprint(token)] = caller
        return caller

    def known(self, token: str) -> Caller | None:
        """Who holds the token, where that was looked up a moment ago."""
        with self._lock:
            return self._callers.get(_fingerprint(token))


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
