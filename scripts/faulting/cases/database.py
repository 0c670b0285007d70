"""Cases 22 and 23: the database dies, and is slow, silent, cut off, or locked by somebody else."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg

from scripts.faulting.answer import Answer
from scripts.faulting.case import case
from scripts.faulting.cases.meanwhile import Post, drawn
from scripts.faulting.cases.sessions import expect_pooled, sessions_watched
from scripts.faulting.failpoints import Trait
from scripts.faulting.scene import Scene

_CALLERS = 4
# Of a statement 5 s, of a silent connection 7 s, and 3 s of another one that is tried; what a caller waits for at most.
_ANSWERED_WITHIN_S = 15.0
_LATENCY_S = 0.05
_RUNNING = b"SELECT id FROM runs WHERE status = 'running' AND follows_run_id IS NULL"
_SPOILT = b"""SELECT count(*) FROM runs WHERE id = ANY(%s)
    AND status <> 'done' AND coalesce(error_code, '') <> 'time_limit'"""
_AGAIN = b"SELECT count(*) FROM runs WHERE id = ANY(%s) AND attempts > 1"


@case(22, "database shut down at once under load, then every session cut")
def database_restarted(scene: Scene) -> None:
    """The pools mend themselves; who called meanwhile was told to come back."""
    for _ in range(scene.times(1, 3)):
        with scene.fault():
            scene.load.post(scene.times(16, 200))
            time.sleep(scene.rng.uniform(0.2, 1.0))
            scene.rig.database.shut_down_at_once()
            time.sleep(scene.seconds(0.5, 3.0))
            scene.rig.database.server.start()
            scene.load.acknowledged()
    with scene.fault():
        scene.load.post(scene.times(16, 200))
        for _ in range(scene.times(3, 10)):
            time.sleep(scene.rng.uniform(0.05, 0.3))
            scene.rig.database.cut_sessions()
        scene.load.acknowledged()


@case(23, "database slow, silent, cut off, and locked by a foreign session")
def database_hindered(scene: Scene) -> None:
    """Nobody waits for ever: callers get an answer or 503, and no session stays; runs that were at work are done, by
    whoever tries them again.
    """
    proxy = scene.rig.database.proxy
    with sessions_watched(scene) as watched:
        _hindered(scene, "slow", lambda: proxy.delay(_LATENCY_S), must_refuse=False)
        _hindered(scene, "cut off", proxy.cut)
        _hindered(scene, "silent", proxy.blackhole)
        with _foreign_lock(scene) as lock:
            _hindered(scene, "locked", lock)
    expect_pooled(scene, watched)


def _hindered(scene: Scene, name: str, hinder: Callable[[], None], *, must_refuse: bool = True) -> None:
    """Runs are at work when the database is hindered, and callers go on calling."""
    posts = drawn(scene, scene.times(8, 50))
    with scene.fault():
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.3)
        scene.load.post(scene.times(8, 50))
        scene.wait_for(lambda: scene.query(_RUNNING), what="a run is at work", within_s=60)
        at_work = [str(run_id) for (run_id,) in scene.query(_RUNNING)]
        hinder()
        answers = _called(scene, posts, during_s=scene.seconds(5, 10))
        scene.rig.database.proxy.clear()
    _judge(scene, name, answers, must_refuse=must_refuse)
    spoilt = scene.count(_SPOILT, at_work)
    scene.expect(not spoilt, "I1", f"{spoilt} runs that were at work failed because the database was {name}")
    scene.note(f"at work, tried again, {name}", [len(at_work), scene.count(_AGAIN, at_work)])


def _called(scene: Scene, posts: Sequence[Post], *, during_s: float) -> list[Answer]:
    """Some post, and as many read, for so long at least."""
    person = scene.driver.person()

    def read() -> Answer:
        return scene.driver.send(person, "GET", "/v1/runs?limit=1")

    until_s = time.monotonic() + during_s
    with ThreadPoolExecutor(_CALLERS, "callers") as pool:
        asked = []
        for post in posts:
            asked += [pool.submit(post.send, scene), pool.submit(read)]
            time.sleep(during_s / len(posts))
        time.sleep(max(0.0, until_s - time.monotonic()))
        # Who waits is answered although nothing is mended yet.
        return [each.result() for each in asked]


def _judge(scene: Scene, name: str, answers: Sequence[Answer], *, must_refuse: bool) -> None:
    slowest_s = max(answer.took_s for answer in answers)
    refused = sum(answer.status in {503, 504} for answer in answers)
    wrong = {answer.status for answer in answers if not answer.is_success} - {409, 503, 504}
    scene.note(f"answers, refused, slowest [s], {name}", [len(answers), refused, round(slowest_s, 1)])
    scene.expect(not wrong, "I4", f"while the database was {name} callers were answered {wrong}")
    scene.expect(refused or not must_refuse, "I4", f"nobody was refused while the database was {name}")
    most_s = scene.seconds(2 * _ANSWERED_WITHIN_S, _ANSWERED_WITHIN_S)
    scene.expect(slowest_s < most_s, "I4", f"a call took {slowest_s:.1f} s while the database was {name}")


@contextmanager
def _foreign_lock(scene: Scene) -> Iterator[Callable[[], None]]:
    """What locks every run for a while from the moment on that it is called."""
    begun, ended = threading.Event(), threading.Event()

    def hold() -> None:
        if not begun.wait(120) or ended.is_set():
            return
        with psycopg.connect(scene.rig.database.url) as foreign:
            foreign.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
            ended.wait(scene.seconds(5, 10))
            foreign.rollback()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield begun.set
    finally:
        ended.set()
        begun.set()
        holder.join()
