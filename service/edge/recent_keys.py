"""Recent keys: who held a key a moment ago need not be looked up again while a client sends many requests.

One of the many looks the key up again before the moment is over: else all that are under way would do so at its end.
"""

import hashlib
import threading
import time
from collections.abc import Callable

from cachetools import TTLCache

from service.access import Caller

_MOST_KEYS = 4096
# Of its memory: how long a key is taken as it is before somebody renews it.
_FRESH = 0.75


class RecentKeys:
    """Callers by the SHA-256 of their token, for so short a time that a revoked key is refused almost at once."""

    def __init__(self, memory_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._callers: TTLCache[bytes, Caller] = TTLCache(_MOST_KEYS, ttl=memory_s, timer=monotonic)
        # Whom nobody needs to look up now: it was just done, or somebody is about it.
        self._fresh: TTLCache[bytes, None] = TTLCache(_MOST_KEYS, ttl=memory_s * _FRESH, timer=monotonic)

    def caller(self, token: str, look_up: Callable[[], Caller]) -> Caller:
        """Who holds the token, looked up unless that was done a moment ago; what `look_up` raises is not remembered."""
        fingerprint = _fingerprint(token)
        with self._lock:
            known = self._callers.get(fingerprint)
        return known or self._looked_up(fingerprint, look_up)

    def known(self, token: str, look_up: Callable[[], Caller]) -> Caller | None:
        """Who holds the token, where that was looked up a moment ago; now and then the caller has to renew it."""
        fingerprint = _fingerprint(token)
        with self._lock:
            known = self._callers.get(fingerprint)
            if known is None or fingerprint in self._fresh:
                return known
            self._fresh[fingerprint] = None
        return self._looked_up(fingerprint, look_up)

    def _looked_up(self, fingerprint: bytes, look_up: Callable[[], Caller]) -> Caller:
        try:
            caller = look_up()
        except Exception:
            with self._lock:
                self._callers.pop(fingerprint, None)
            raise
        with self._lock:
            self._callers[fingerprint] = caller
            self._fresh[fingerprint] = None
        return caller


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
