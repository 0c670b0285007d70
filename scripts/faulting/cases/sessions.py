"""Sessions of the product at the database: how many there are at most, and whether one is left behind."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from scripts.faulting.bounds import SESSIONS
from scripts.faulting.scene import Scene

# Each process pools so many, as many again beyond the pool, and as many that stay open for writing.
_WEB, _OTHER = 24, 16
# Longer than any statement may take: who is still at work then has been forgotten.
_FORGOTTEN = b"""SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headroom' AND state <> 'idle'
    AND now() - state_change > interval '16 seconds'"""


@contextmanager
def sessions_watched(scene: Scene) -> Iterator[list[int]]:
    """The most database sessions that the product held in the block."""
    most, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            # A database that takes nobody more, or is just down, is asked again.
            with suppress(psycopg.OperationalError):
                most[0] = max(most[0], scene.count(SESSIONS))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def expect_pooled(scene: Scene, most: int) -> None:
    """No more sessions at once than the pools have, and none that nobody ends."""
    webs = len(scene.rig.webs)
    bound = webs * _WEB + (len(scene.rig.members) - webs) * _OTHER
    scene.note("most database sessions", most)
    scene.expect(most <= bound, "I7", f"{most} database sessions, and the pools have {bound}")
    forgotten = scene.count(_FORGOTTEN)
    scene.expect(not forgotten, "I7", f"{forgotten} database sessions are at work for nobody")
