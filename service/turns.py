"""Turns: who is served next of those that wait, which is whoever was served longest ago."""

from collections.abc import Iterable

# Whoever is forgotten comes first, once.
_MOST_REMEMBERED = 10_000


class Turns:
    """What one process remembers of whom it served; several of them come close to what one would do."""

    def __init__(self, *, most: int = _MOST_REMEMBERED) -> None:
        """`most` bounds the memory."""
        self._most = most
        self._count = 0
        self._served: dict[str, int] = {}

    def order(self, waiting: Iterable[str]) -> list[str]:
        """Those that wait, whoever was served longest ago or never first; of equals in the order given."""
        return sorted(waiting, key=lambda who: self._served.get(who, 0))

    def served(self, who: str) -> None:
        """It was their turn."""
        self._count += 1
        self._served.pop(who, None)
        self._served[who] = self._count
        if len(self._served) > self._most:
            self._served.pop(next(iter(self._served)), None)
