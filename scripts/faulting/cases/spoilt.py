"""Cases 6 and 7: runs that kill whoever works on them, ask for too much memory, or never end."""

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from scripts.benchmark.procfs import PROC
from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.ledger import Job
from scripts.faulting.load import inference
from scripts.faulting.member import Member
from scripts.faulting.scene import Scene
from service.access import Role

_RUN = b"SELECT status, attempts, error_code FROM runs WHERE id = %s"
# One that is stopped without having computed is tried again three times.
_MOST_TRIES = 4
_POISON_ISL, _HANGING_ISL, _STUBBORN_ISL, _BUSY_ISL, _HOARDING_ISL = 61_001, 61_002, 61_003, 61_004, 61_006
# What a process may ask for beyond what it has.
_MORE_BYTES = 192 * 1024 * 1024


def words_of(isl_tokens: int) -> str:
    """How the question of that length looks to the engine."""
    return f'"mean":{isl_tokens}'


@case(6, "a task that kills its worker every time", quick=True)
def poison(scene: Scene) -> None:
    """Failed as poison after three attempts, told to the operator, and the others go on.

    One that asks for more memory than its process may have fails too: at once, for its worker outlives the refusal.
    """
    count = scene.times(15, 200)
    alone_s = _time_for(scene, count)
    scene.rig.failpoints.set(Trait.POISON, words_of(_POISON_ISL))
    with scene.fault():
        # What the fault's end would disarm must last until it has done its worst.
        bad = scene.job(inference(_POISON_ISL))
        beside_s = _time_for(scene, count)
        assert bad is not None
        # Three deaths, each noticed after the lease: that it ends is the promise, not how soon beside other work.
        scene.wait_for(lambda: scene.driver.look(bad) == "failed", what="the poisoned run is given up", within_s=120)
    _expect_dead(scene, bad, "poison", attempts=3)
    scene.note("jobs/s alone, beside poison", [round(count / alone_s, 1), round(count / beside_s, 1)])
    # Figures are held against each other where nothing else runs beside them.
    least = scene.seconds(0.0, 0.8)
    scene.expect(alone_s / beside_s >= least, "I7", f"others took {alone_s:.1f} s, and {beside_s:.1f} s beside poison")
    _hoard(scene)


def _expect_dead(scene: Scene, job: Job, wanted: str, *, attempts: int) -> None:
    """It failed for that reason, was not begun more often, and an operator finds it in the list of what failed."""
    _, begun, code = scene.query(_RUN, job.run_id)[0]
    scene.note(f"{wanted}: ended as, attempts", [code, begun])
    scene.expect(code == wanted, "I1", f"a run that was to end as {wanted} ended as {code}")
    scene.expect(
        int(str(begun)) <= attempts,
        "I1",
        f"a run that was to end as {wanted} was begun {begun} times, not {attempts} at most",
    )
    told = next((each for each in _dead_letters(scene) if each["id"] == job.run_id), {"code": None})
    scene.expect(told["code"] == code, "I8", f"a run that failed as {code} is told to operators as {told['code']}")


def _dead_letters(scene: Scene) -> Iterator[dict[str, object]]:
    """All that an operator is told of runs that failed."""
    operator = scene.driver.person(role=Role.OPERATOR)
    cursor: str | None = ""
    while cursor is not None:
        path = "/v1/dead-letters?limit=200" + (f"&cursor={cursor}" if cursor else "")
        page = scene.driver.send(operator, "GET", path).json()
        yield from page["items"]
        cursor = page.get("next_cursor")


def _hoard(scene: Scene) -> None:
    """Workers with a limit of memory (that of prlimit --as), and a run that asks for more."""
    scene.rig.failpoints.set(Trait.HOARDING, words_of(_HOARDING_ISL))
    with scene.fault(), _memory_limited(scene.rig.workers):
        job = scene.job(inference(_HOARDING_ISL))
        assert job is not None
        scene.wait_for(lambda: scene.driver.look(job) == "failed", what="a run without memory fails", within_s=120)
    _expect_dead(scene, job, "engine_error", attempts=1)


@contextmanager
def _memory_limited(workers: Sequence[Member]) -> Iterator[None]:
    """In the block no process of these, and none that they start, may have much more memory than it has."""
    for pid in [pid for worker in workers for pid in worker.family]:
        most = _address_space_bytes(pid) + _MORE_BYTES
        resource.prlimit(pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in [pid for worker in workers for pid in worker.family]:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _address_space_bytes(pid: int) -> int:
    return int((PROC / str(pid) / "statm").read_text().split()[0]) * resource.getpagesize()


def _time_for(scene: Scene, count: int) -> float:
    since_s = time.monotonic()
    scene.load.post(count, question=scene.questions.fresh)
    for job in scene.load.acknowledged():
        scene.driver.follow(job)
    return time.monotonic() - since_s


@case(7, "soft and hard time limits are hit")
def time_limits(scene: Scene) -> None:
    """A run that computes for too long fails as time_limit, at once where it has a processor for itself, and one that
    waits for ever after three tries more. One that ignores that it is stopped is killed at the hard limit, and nobody
    is left who could tell why: it ends as whatever ends its worker every time, as poison.
    """
    points = scene.rig.failpoints
    points.set(Trait.HANGING, words_of(_HANGING_ISL), seconds=30)
    points.set(Trait.STUBBORN, words_of(_STUBBORN_ISL), seconds=30)
    points.set(Trait.BUSY, words_of(_BUSY_ISL), seconds=30)
    wanted = {_BUSY_ISL: "time_limit", _HANGING_ISL: "time_limit", _STUBBORN_ISL: "poison"}
    with scene.fault():
        jobs = {isl: scene.job(inference(isl)) for isl in wanted}
        for isl, job in jobs.items():
            scene.wait_for(
                lambda job=job: job and scene.driver.look(job) == "failed",  # type: ignore[misc]
                what=f"a run that should end as {wanted[isl]} does",
                within_s=90,
            )
    for isl, job in jobs.items():
        assert job is not None
        _, attempts, code = scene.query(_RUN, job.run_id)[0]
        scene.note(f"attempts at {isl}", attempts)
        scene.expect(code == wanted[isl], "I1", f"run {job.run_id} ended as {code}, not as {wanted[isl]}")
        scene.expect(int(str(attempts)) <= _MOST_TRIES, "I1", f"run {job.run_id} was begun {attempts} times")
