"""A shelf: what was used last, as long as all of it fits into so many bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Shelf(Generic[Key, Value]):
    """The least recently used goes first; safe for the threads of a process.

    Not of a library: every request looks into several shelves, and cachetools takes ten times as long for a look.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    @property
    def kept_bytes(self) -> int:
        """What all of it takes, as whoever put it there said."""
        return self._bytes

    def get(self, key: Key) -> Value | None:
        """What is kept under the key; None where nothing is."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Key, value: Value, *, size_bytes: int) -> None:
        """Keep a value, unless it is larger than the whole shelf."""
        if size_bytes > self._most_bytes:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self._kept[key] = value, size_bytes
            self._bytes += size_bytes - (0 if before is None else before[1])
            while self._bytes > self._most_bytes:
                _, (_, freed) = self._kept.popitem(last=False)
                self._bytes -= freed
