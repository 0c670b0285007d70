"""A shelf: what was used last, as long as all of it fits into so many bytes."""

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Shelf(Generic[Key, Value]):
    """The least recently used goes first; safe for the threads of a process."""

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: LRUCache[Key, tuple[Value, int]] = LRUCache(most_bytes, getsizeof=lambda pair: pair[1])

    @property
    def kept_bytes(self) -> int:
        """What all of it takes, as whoever put it there said."""
        with self._lock:
            return int(self._kept.currsize)

    def get(self, key: Key) -> Value | None:
        """What is kept under the key; None where nothing is."""
        with self._lock:
            found = self._kept.get(key)
        return None if found is None else found[0]

    def put(self, key: Key, value: Value, *, size_bytes: int) -> None:
        """Keep a value, unless it is larger than the whole shelf."""
        if size_bytes <= self._most_bytes:
            with self._lock:
                self._kept[key] = value, size_bytes
