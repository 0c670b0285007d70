"""Case 53: the schema changes under the service."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from scripts.faulting.case import case
from scripts.faulting.scene import Scene
from scripts.faulting.trees import next_release
from scripts.processes import Process

_LONGEST_WAIT = b"""SELECT coalesce(max(extract(epoch FROM now() - query_start)), 0) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND application_name = 'headroom' AND query NOT LIKE '%%advisory%%'"""
_LONGEST_LOCK_S = 1.0


@case(53, "the next release's migration goes up and down under load")
def migrations(scene: Scene) -> None:
    """Processes of this release go on and start anew on the schema of the next one, beside a worker of that one.

    Nobody waits longer than a second for a lock; how long is looked at twenty times a second.
    """
    before = scene.driver.ledger.counts["5xx in windows"]
    with next_release() as (tree, old), scene.fault(), _waits_watched(scene) as longest_s:
        newer = Process(name="worker-next", arguments=scene.rig.workers[0].process.arguments)
        for _ in range(scene.times(1, 3)):
            scene.load.post(scene.times(20, 100))
            scene.rig.migrate()
            with _long_reader(scene):
                scene.rig.migrate(tree=tree)
            with scene.rig.beside(newer, {}, tree=tree), scene.rig.changed([scene.rig.webs[0]], {}):
                scene.load.post(scene.times(20, 100))
                scene.load.acknowledged()
            scene.load.post(scene.times(20, 100))
            scene.rig.migrate("--to", old, tree=tree)
            scene.load.acknowledged()
    scene.note("longest wait for a lock [s]", round(longest_s[0], 2))
    scene.expect(longest_s[0] < _LONGEST_LOCK_S, "I7", f"somebody waited {longest_s[0]:.2f} s for a lock")
    failures = scene.driver.ledger.counts["5xx in windows"] - before
    scene.expect(not failures, "I4", f"{failures} answers of 5xx while a release went up and down")


@contextmanager
def _long_reader(scene: Scene) -> Iterator[None]:
    """Somebody reads for a while, as a backup does: a migration that waits for them must not make others wait."""
    reading = threading.Event()

    def read() -> None:
        with psycopg.connect(scene.rig.database.url) as foreign:
            foreign.execute("SELECT count(*) FROM runs")
            reading.set()
            time.sleep(scene.seconds(3, 6))

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    try:
        yield
    finally:
        reader.join()


@contextmanager
def _waits_watched(scene: Scene) -> Iterator[list[float]]:
    """The longest that a session of the product's has waited for a lock in the block [s]."""
    longest_s, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            longest_s[0] = max(longest_s[0], float(str(scene.query(_LONGEST_WAIT)[0][0])))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield longest_s
    finally:
        stop.set()
        thread.join()
