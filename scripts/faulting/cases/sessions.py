"""Sessions of the product at the database: how many there are at most, and whether one is left behind."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from scripts.faulting.bounds import SESSIONS
from scripts.faulting.scene import Scene
from scripts.faulting.servers import PLACES

# Each process pools so many, as many again beyond the pool, and as many that stay open for writing.
_WEB, _OTHER = 24, 16
# Longer than any statement may take: who is still at work then has been forgotten.
_FORGOTTEN = b"""SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headroom' AND state <> 'idle'
    AND now() - state_change > interval '16 seconds'"""


# What PostgreSQL says to whom it has no place for.
_FULL = "too many clients"


@dataclass(slots=True)
class Watched:
    """The most sessions that the product held at once, and how often the database had no place for one more."""

    most: int = 0
    full: int = 0


@contextmanager
def sessions_watched(scene: Scene) -> Iterator[Watched]:
    """What was seen of the product's sessions in the block."""
    watched, stop = Watched(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            try:
                watched.most = max(watched.most, scene.count(SESSIONS))
            except psycopg.OperationalError as error:
                # A database that is down is asked again.
                watched.full += _FULL in str(error)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield watched
    finally:
        stop.set()
        thread.join()


def expect_pooled(scene: Scene, watched: Watched) -> None:
    """No more sessions at once than the pools have, and none that nobody ends."""
    webs = len(scene.rig.webs)
    bound = webs * _WEB + (len(scene.rig.members) - webs) * _OTHER
    scene.note("most database sessions", watched.most)
    assert bound < PLACES, "the database of the rig turns away before the bound"
    scene.expect(watched.most, "I7", "no database session was ever counted")
    scene.expect(not watched.full, "I7", f"the database had no place left, {watched.full} times")
    scene.expect(watched.most <= bound, "I7", f"{watched.most} database sessions, and the pools have {bound}")
    forgotten = scene.count(_FORGOTTEN)
    scene.expect(not forgotten, "I7", f"{forgotten} database sessions are at work for nobody")
