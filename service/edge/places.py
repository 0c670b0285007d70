"""Places: so many requests are worked on at once, and nobody has so many of them that the others would have to wait.

Whoever asks for much at once would have all places, and everybody else would wait behind it. So those that wait do so
in lines, one for each tenant. A line has a part of the places at most, a larger one while nobody else asks for any; and
the next place is for whoever has fewest.
"""

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import cast

from service.edge.answering import Environ

# In the environment of a request: the place that it has, or has given away while it reads or waits.
_PLACE = "headroom.place"
# In the environment of a request that waits for what a worker does for it.
_WORKED_FOR = "headroom.worked_for"
# Whoever has not asked for so long is not about: a client that waits for its run asks once a second.
_ABOUT_S = 2.5
_PART = 4
# Whoever asks in earnest asks again within so long; a line computes a twenty-fifth of the time of its places then.
_ASKS_S = 0.05
_RESTS = 24
_LONGEST_REST_S = 0.5
# Whoever stands at the end of a line waits no longer than this for the rests before: our own client waits for 30 s.
_PATIENCE_S = 25.0


class Places:
    """Where requests are worked on; `line` is who asks for one."""

    def __init__(self, count: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """A quarter of them is for one line; all but a quarter while it is alone, and all where there are few."""
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._free = count
        self._most_each = most_each(count)
        self._most_alone = count - self._most_each if count >= _PART else count
        self._held: Counter[str] = Counter()
        # In the order in which the lines are to be served, where they hold equally many.
        self._waiting: dict[str, deque[Callable[[], object]]] = {}
        # Who asked last, and when somebody else did for the last time.
        self._last, self._last_s = "", -math.inf
        self._before_s = -math.inf

    def waiting(self, line: str) -> int:
        """So many of the line have no place yet."""
        return len(self._waiting.get(line, ()))

    def take_at_once(self, line: str) -> bool:
        """Take a place if there is one for the line, and nobody of it waits."""
        with self._lock:
            self._asked(line)
            return line not in self._waiting and self._take(line)

    def line_up(self, line: str, begin: Callable[[], object]) -> None:
        """Call `begin`, which must not wait, once there is a place, which is then taken."""
        with self._lock:
            self._asked(line)
            self._waiting.setdefault(line, deque()).append(begin)
            begun = self._begun()
        _call(begun)

    def take(self, line: str) -> None:
        """Wait for a place."""
        turn: SimpleQueue[None] = SimpleQueue()
        self.line_up(line, lambda: turn.put(None))
        turn.get()

    def take_again(self, line: str) -> None:
        """Wait for a place before all others of the line, for work that has begun."""
        turn: SimpleQueue[None] = SimpleQueue()
        with self._lock:
            self._waiting.setdefault(line, deque()).appendleft(lambda: turn.put(None))
            begun = self._begun()
        _call(begun)
        turn.get()

    def longest_rest_s(self, line: str) -> float:
        """For so long a place of the line may rest at most: not at all unless others ask, one call after the other."""
        with self._lock:
            if not self._others_asked_within(line, _ASKS_S):
                return 0.0
            return min(_LONGEST_REST_S, _PATIENCE_S * self._most_each / max(1, self.waiting(line)))

    def give(self, line: str) -> None:
        """Let somebody else have it."""
        with self._lock:
            self._free += 1
            self._held[line] -= 1
            if not self._held[line]:
                del self._held[line]
            begun = self._begun()
        _call(begun)

    def _asked(self, line: str) -> None:
        if line != self._last:
            self._last, self._before_s = line, self._last_s
        self._last_s = self._monotonic()

    def _others_asked_within(self, line: str, seconds: float) -> bool:
        others_s = self._before_s if line == self._last else self._last_s
        return self._monotonic() - others_s < seconds

    def _take(self, line: str) -> bool:
        if not self._free or self._held[line] >= self._most(line):
            return False
        self._free -= 1
        self._held[line] += 1
        return True

    def _most(self, line: str) -> int:
        return self._most_each if self._others_asked_within(line, _ABOUT_S) else self._most_alone

    def _begun(self) -> list[Callable[[], object]]:
        """What begins now, with its place taken: of the line that has the fewest, and of equals in turn."""
        begun = []
        while self._waiting:
            line = min(self._waiting, key=self._held.__getitem__)
            if not self._take(line):
                break
            turns = self._waiting.pop(line)
            begun.append(turns.popleft())
            if turns:
                # Behind the others.
                self._waiting[line] = turns
        return begun


def most_each(count: int) -> int:
    """So many of the places are for one line while others are about."""
    return max(1, count // _PART)


def _call(begun: list[Callable[[], object]]) -> None:
    for begin in begun:
        begin()


class Place:
    """A place that a request has. Who watches a body may give it away, and who waits for something too: once."""

    __slots__ = ("_given", "_line", "_lock", "_places")

    def __init__(self, places: Places, line: str) -> None:
        self._places = places
        self._line = line
        self._lock = threading.Lock()
        self._given = False

    def give(self) -> None:
        """Let somebody else have it for a while, or for good."""
        with self._lock:
            given, self._given = self._given, True
        if not given:
            self._places.give(self._line)

    def take_again(self) -> None:
        """Go on."""
        with self._lock:
            given, self._given = self._given, False
        if given:
            self._places.take_again(self._line)

    def rest_s(self, work_s: float) -> float:
        """For so long nobody is to be worked on here, after a call that was lined up for and made so much work.

        None where nobody else asks.

        There are more places than processors: a line that had all the time of its places would slow down the others,
        however soon they find one.
        """
        return min(self._places.longest_rest_s(self._line), _RESTS * work_s)


def has_place(environ: Environ, place: Place) -> None:
    """From now on the request has a place."""
    environ[_PLACE] = place


def is_worked_for(environ: Environ) -> None:
    """A worker has work of the request: its answer does not tell, when it was waited for."""
    environ[_WORKED_FOR] = True


def worked_for(environ: Environ) -> bool:
    """Whether a worker is known to have had work of the request."""
    return _WORKED_FOR in environ


def place_of(environ: Environ) -> Place | None:
    """The place of a request; None where it needs none, or has none yet."""
    return cast("Place | None", environ.get(_PLACE))


@contextmanager
def stepped_aside(environ: Environ) -> Iterator[None]:
    """While the request only waits, its place is somebody else's."""
    place = place_of(environ)
    if place is not None:
        place.give()
    try:
        yield
    finally:
        if place is not None:
            place.take_again()
