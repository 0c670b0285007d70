"""The threads that read bodies: who they are, since when, and how many there may be at once."""

import threading
import time

from service.edge.answering import Answering, Environ
from service.errors import RateLimitedError, UnavailableError

_RETRY_AFTER_S = 1
_WAITS_S = 0.25


class Reading:
    """A thread that reads a body. What becomes of it is settled once: it ends in time, or it is answered for."""

    __slots__ = (
        "_lock",
        "answered",
        "answering",
        "ended",
        "environ",
        "place_given",
        "since_s",
        "tenant_id",
        "within_s",
    )

    def __init__(self, environ: Environ, answering: Answering | None, tenant_id: str, *, within_s: float) -> None:
        self.environ = environ
        self.answering = answering
        self.tenant_id = tenant_id
        self.within_s = within_s
        self.since_s = time.monotonic()
        self.ended = self.answered = self.place_given = False
        self._lock = threading.Lock()

    def end(self) -> None:
        """The body is there, or will never be."""
        with self._lock:
            self.ended = True

    def gives_place(self) -> bool:
        """Whether its place is to be given away now."""
        with self._lock:
            gives = not self.ended and not self.place_given
            self.place_given |= gives
        return gives

    def is_to_be_answered(self) -> bool:
        """Whether it is to be answered for now."""
        with self._lock:
            answers = not self.ended and not self.answered and self.answering is not None
            self.answered |= answers
        return answers


class Readers:
    """The threads that read bodies: so many at once, and so many of them for one tenant.

    On a busy machine many bodies that are there already are not read yet: one more waits a moment for them. Behind
    senders that are slow nobody waits, for that may take as long as they like.
    """

    def __init__(self, *, most: int, most_tenant: int, waits_s: float = _WAITS_S) -> None:
        self._most = most
        self._most_tenant = most_tenant
        self._waits_s = waits_s
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting = 0
        self._reading: set[Reading] = set()

    def begin(self, environ: Environ, answering: Answering | None, tenant_id: str, *, within_s: float) -> Reading:
        """One more. RateLimitedError when the tenant has too many already, UnavailableError when all have."""
        reading = Reading(environ, answering, tenant_id, within_s=within_s)
        with self._lock:
            if len(self._reading) >= self._most_tenant:
                if not self._slow_ones(tenant_id):
                    self._wait(tenant_id)
                self._refuse(tenant_id)
            self._reading.add(reading)
        return reading

    def _wait(self, tenant_id: str) -> None:
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: self._has_room(tenant_id), timeout=self._waits_s)
        finally:
            self._waiting -= 1

    def _slow_ones(self, tenant_id: str) -> bool:
        """Whether what is in the way has been there for longer than a body takes that is sent at once."""
        before_s = time.monotonic() - self._waits_s
        slow = [one.tenant_id for one in self._reading if one.since_s <= before_s]
        return slow.count(tenant_id) >= self._most_tenant or len(slow) >= self._most

    def _has_room(self, tenant_id: str) -> bool:
        return len(self._reading) < self._most and self._of(tenant_id) < self._most_tenant

    def _of(self, tenant_id: str) -> int:
        return sum(one.tenant_id == tenant_id for one in self._reading)

    def _refuse(self, tenant_id: str) -> None:
        if self._of(tenant_id) >= self._most_tenant:
            raise RateLimitedError(
                f"{self._most_tenant} bodies of your tenant are still on their way; send fewer at once.",
                retry_after_s=_RETRY_AFTER_S,
            )
        if len(self._reading) >= self._most:
            raise UnavailableError(
                "Too many bodies are still on their way; ask again later.", retry_after_s=_RETRY_AFTER_S
            )

    def end(self, reading: Reading) -> None:
        """One less."""
        reading.end()
        with self._lock:
            self._reading.discard(reading)
            if self._waiting:
                self._changed.notify_all()

    def since(self, before_s: float) -> list[Reading]:
        """Those who have read since then, or for longer."""
        with self._lock:
            return [reading for reading in self._reading if reading.since_s <= before_s]
