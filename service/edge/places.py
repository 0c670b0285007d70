"""Places: so many requests are worked on at once, so that no more of them want a connection than there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

# In the environment of a request: its thread has a place, or has given it away while it reads.
HAS_PLACE = "headroom.has_place"


class Places:
    """Where requests are worked on."""

    def __init__(self, count: int) -> None:
        # A queue of tokens: a semaphore is made of Python, and every request takes a place.
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def take(self) -> None:
        """Wait for a place."""
        self._free.get()

    def give(self) -> None:
        """Let somebody else have it."""
        self._free.put(None)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A place, for as long as the work takes."""
        self.take()
        try:
            yield
        finally:
            self.give()
