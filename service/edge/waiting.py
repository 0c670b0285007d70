"""`Prefer: wait=N`: wait for a run inside the request, with at most half of the server's threads."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

from flask import Flask, current_app, request

from service.edge.context import caller, runtime
from service.edge.places import is_worked_for, stepped_aside
from service.planning.reading import get_run
from service.planning.view import RunView
from service.store.tables.runs import OPEN

Seen = TypeVar("Seen")
_EXTENSION = "headroom-waiting-room"
_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:;.*)?", re.ASCII | re.IGNORECASE)
# Whoever waits is told at most a tenth later than it could be; and a look costs a millisecond at most.
_SHORTEST_PAUSE_S = 0.008
_LONGEST_PAUSE_S = 0.5
_SHARE_OF_WAIT = 0.1
APPLIED_DOC = {"Preference-Applied": {"description": "The wait that was granted.", "schema": {"type": "string"}}}
PREFER = {
    "in": "header",
    "name": "Prefer",
    "schema": {"type": "string", "examples": ["wait=10"]},
    "description": "wait=N: answer once the run has ended, or the document is there, after at most N (<= 30) seconds. "
    "When too many callers wait already the answer comes at once, without Preference-Applied.",
}


class WaitingRoom:
    """So many requests may wait at once; the next one is answered without waiting."""

    def __init__(self, seats: int) -> None:
        self._seats = threading.BoundedSemaphore(max(1, seats))

    @contextmanager
    def seat(self) -> Iterator[bool]:
        """Whether there is a seat; it is free again afterwards."""
        taken = self._seats.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._seats.release()


def open_waiting_room(app: Flask, *, threads: int) -> None:
    """Half of the threads may wait."""
    app.extensions[_EXTENSION] = WaitingRoom(threads // 2)


def preferred_wait_s(header: str, *, most_s: int) -> int:
    """Seconds that the Prefer header asks to wait, at most `most_s`; 0 when it asks for none (RFC 7240)."""
    for preference in header.split(","):
        match = _WAIT.fullmatch(preference)
        if match:
            return min(int(match.group(1)), most_s)
    return 0


def asked_wait_s() -> int:
    """Seconds that this request prefers to wait; 0 for none."""
    return preferred_wait_s(request.headers.get("Prefer", ""), most_s=runtime().settings.wait_max_s)


def as_preferred(run: RunView) -> tuple[RunView, dict[str, str]]:
    """The run after the wait that the caller prefers, and the header that says how long that may have been."""
    return waited_for(
        run, ended=lambda seen: seen.status not in OPEN, look=lambda: get_run(runtime(), caller(), run.id)
    )


def waited_for(first: Seen, *, ended: Callable[[Seen], bool], look: Callable[[], Seen]) -> tuple[Seen, dict[str, str]]:
    """What `look` sees after the wait that the caller prefers, and the header that says how long that may have been."""
    wait_s = asked_wait_s()
    if not wait_s:
        return first, {}
    applied = {"Preference-Applied": f"wait={wait_s}"}
    if ended(first):
        return first, applied
    room = cast("WaitingRoom", current_app.extensions[_EXTENSION])
    with room.seat() as seated:
        if not seated:
            return first, {}
        return _watch(first, wait_s, ended=ended, look=look), applied


def _watch(seen: Seen, wait_s: float, *, ended: Callable[[Seen], bool], look: Callable[[], Seen]) -> Seen:
    """Looks now and then, holding neither a connection nor a lock nor a place in between."""
    if request.method != "GET":
        is_worked_for(request.environ)
    began_s = time.monotonic()
    while not ended(seen) and (waited_s := time.monotonic() - began_s) < wait_s:
        pause_s = min(max(_SHORTEST_PAUSE_S, waited_s * _SHARE_OF_WAIT), _LONGEST_PAUSE_S)
        with stepped_aside(request.environ):
            time.sleep(min(pause_s, wait_s - waited_s))
        seen = look()
    return seen
