"""Cases A: processes die, at the worst of moments."""

import itertools
import time

from scripts.faulting.bounds import held
from scripts.faulting.case import case
from scripts.faulting.checker import read_lines
from scripts.faulting.failpoints import KOMBU_BY_ITSELF, KOMBU_VARIABLE, Failpoint, Trait
from scripts.faulting.load import inference
from scripts.faulting.member import Member, supervised
from scripts.faulting.scene import Scene

_RUN = b"SELECT status, attempts, error_code FROM runs WHERE id = %s"
_RETRIED = b"SELECT count(*) FROM runs WHERE attempts > 1"
_RUNNING = b"SELECT count(*) FROM runs WHERE status = 'running' AND follows_run_id IS NULL"
_HELD = b"SELECT count(*) FROM batch_chunks WHERE status = 'running'"
_SIZED = b"SELECT count(*) FROM batch_items WHERE batch_id = %s AND state = 'done'"
_SPARES = b"SELECT (SELECT sum(spares) FROM runs) + (SELECT sum(spares) FROM batch_items)"
# One that is stopped without having computed is tried again three times.
_MOST_TRIES = 4
# Ten workers die one after another, each once another has started.
_ALL_DEAD_S = 120.0
_POISON_ISL, _HANGING_ISL, _STUBBORN_ISL, _BUSY_ISL, _FROZEN_ISL = 61_001, 61_002, 61_003, 61_004, 61_005


def words_of(isl_tokens: int) -> str:
    """How the question of that length looks to the engine."""
    return f'"mean":{isl_tokens}'


@case(1, "worker child killed in the middle of a task", quick=True)
def child_killed(scene: Scene) -> None:
    """Again and again at random moments; each run is done once, by whoever has it last."""
    before = scene.count(_RETRIED)
    kills, wanted = 0, scene.times(3, 20)
    with scene.fault():
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.4)
        scene.load.post(scene.times(20, 200))
        until_s = time.monotonic() + 90
        for look in itertools.count():
            if kills >= wanted or time.monotonic() > until_s:
                break
            rng = scene.chance.stream("look", look)
            time.sleep(rng.uniform(0.1, 0.6))
            worker = rng.choice(scene.rig.workers)
            # A child that holds nothing dies without a loss.
            if worker.children and scene.count(_RUNNING):
                kills += worker.kill_child(rng.choice(worker.children))
        scene.rig.failpoints.unset(Trait.SLOW)
        scene.load.acknowledged()
    scene.note("children killed", kills)
    retried = scene.count(_RETRIED) - before
    scene.note("runs tried again", retried)
    scene.expect(retried, "I1", f"{kills} children were killed at work, and no run was tried again")


@case(2, "worker parent killed with its children", quick=True)
def parent_killed(scene: Scene) -> None:
    """The sweeper finds what it held, whatever the broker does about its messages."""
    for _ in range(scene.times(1, 3)):
        with scene.fault():
            _kill_one_at_work(scene, scene.times(16, 100))
    if scene.times(0, 1):
        _killed_under_clocks_of_kombu(scene)


def _at_work(scene: Scene) -> list[Member]:
    """The workers whose last word is that they have taken a run."""
    events = {"run_claimed", "run_done", "run_failed"}
    last = {
        member.process.name: [line["event"] for line in read_lines(member.log) if line.get("event") in events][-1:]
        for member in scene.rig.workers
    }
    return [member for member in scene.rig.workers if last[member.process.name] == ["run_claimed"]]


def _kill_one_at_work(scene: Scene, jobs: int) -> None:
    scene.rig.failpoints.set(Trait.SLOW, seconds=0.4)
    scene.load.post(jobs)
    scene.wait_for(lambda: _at_work(scene), what="a run is taken")
    scene.rng.choice(_at_work(scene) or scene.rig.workers).kill()
    scene.rig.failpoints.unset(Trait.SLOW)
    scene.load.acknowledged()


def _killed_under_clocks_of_kombu(scene: Scene) -> None:
    """Kombu looks for abandoned messages every 100 s by itself, and gives them an hour: the sweeper does not wait."""
    with scene.fault(), scene.rig.changed(scene.rig.workers, {KOMBU_VARIABLE: KOMBU_BY_ITSELF}):
        _kill_one_at_work(scene, scene.times(16, 50))
        since_s = time.monotonic()
        scene.checker.wait_until_at_rest(within_s=60)
        scene.note("all ended under Kombu's own clocks after [s]", round(time.monotonic() - since_s, 1))
        left = scene.checker.open_count()
        scene.expect(not left, "I1", f"{left} runs are open while Kombu still waits")
        abandoned = held(scene.rig).messages["unacknowledged"]
        scene.note("messages that Kombu had not given back by then", abandoned)
        scene.expect(abandoned, "I1", "Kombu gave back what was abandoned, so nothing is said about the sweeper")


@case(3, "worker killed between storing a result and acknowledging its message")
def killed_before_acknowledging(scene: Scene) -> None:
    """The second delivery finds the stored result and does nothing, as the checker sees in the lines of the workers."""
    with scene.fault():
        scene.rig.failpoints.arm(Failpoint.STORED, scene.times(2, 10))
        scene.load.post(scene.times(12, 100), question=scene.questions.fresh)
        jobs = scene.load.acknowledged()
        scene.wait_for(
            lambda: not scene.rig.failpoints.armed(Failpoint.STORED), what="every worker died", within_s=_ALL_DEAD_S
        )
        for job in jobs:
            scene.driver.follow(job)


@case(4, "web process killed between commit and publishing", quick=True)
def killed_before_publishing(scene: Scene) -> None:
    """The relay publishes; who tries again under the key gets the same job."""
    _web_dies(scene, Failpoint.COMMITTED)


@case(5, "web process killed between publishing and noting it")
def killed_after_publishing(scene: Scene) -> None:
    """Published twice, done once."""
    _web_dies(scene, Failpoint.PUBLISHED)


def _web_dies(scene: Scene, point: Failpoint) -> None:
    deaths = scene.times(2, 10)
    with scene.fault(), supervised(scene.rig.webs):
        for _ in range(deaths):
            scene.rig.failpoints.arm(point)
            scene.load.post(scene.times(3, 10), question=scene.questions.fresh)
            jobs = scene.load.acknowledged()
            scene.expect(jobs, "I1", "no job was acknowledged although one web process was left")
            scene.wait_for(lambda: not scene.rig.failpoints.armed(point), what=f"a web process died: {point}")
    scene.note("web processes killed", deaths)


@case(6, "a task that kills its worker every time", quick=True)
def poison(scene: Scene) -> None:
    """Failed as poison after three attempts, and the others go on."""
    count = scene.times(15, 100)
    alone_s = _time_for(scene, count)
    scene.rig.failpoints.set(Trait.POISON, words_of(_POISON_ISL))
    with scene.fault():
        # What the fault's end would disarm must last until it has done its worst.
        bad = scene.job(inference(_POISON_ISL))
        beside_s = _time_for(scene, count)
        assert bad is not None
        # Three deaths, each noticed after the lease: that it ends is the promise, not how soon beside other work.
        scene.wait_for(lambda: scene.driver.look(bad) == "failed", what="the poisoned run is given up", within_s=120)
    _, attempts, code = scene.query(_RUN, bad.run_id)[0]
    scene.expect(code == "poison", "I1", f"a run that killed every worker ended as {code}")
    scene.expect(int(str(attempts)) == 3, "I1", f"a run that kills its worker was begun {attempts} times")
    scene.note("jobs/s alone", round(count / alone_s, 1))
    scene.note("jobs/s beside poison", round(count / beside_s, 1))


def _time_for(scene: Scene, count: int) -> float:
    since_s = time.monotonic()
    scene.load.post(count, question=scene.questions.fresh)
    for job in scene.load.acknowledged():
        scene.driver.follow(job)
    return time.monotonic() - since_s


@case(7, "soft and hard time limits are hit")
def time_limits(scene: Scene) -> None:
    """A run that computes for too long fails as time_limit, at once where it has a processor for itself, and one that
    waits for ever after three tries more; one that ignores that it is stopped is killed, and fails as poison.
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


@case(57, "a worker frozen for longer than its limits and its lease", quick=True)
def frozen(scene: Scene) -> None:
    """Nothing was computed meanwhile, so nothing took too long: a run and a batch are done once it wakes up."""
    first, second = scene.rig.workers
    with scene.fault():
        second.terminate()
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.3)
        job = scene.job(inference(_FROZEN_ISL))
        assert job is not None
        scene.wait_for(lambda: scene.count(_RUNNING), what="the run is taken")
        _freeze(scene, first)
        status = scene.driver.follow(job, within_s=60)
        scene.expect(status == "done", "I1", f"a run is {status} after its worker was frozen")
        items = [{"name": f"item {n}", "workload": inference(_FROZEN_ISL + 1 + n)} for n in range(2)]
        batch = scene.driver.send(scene.driver.person(), "POST", "/v1/batches", items).json()
        scene.wait_for(lambda: scene.count(_HELD), what="the batch is begun")
        _freeze(scene, first)
        scene.wait_for(lambda: scene.count(_SIZED, batch["id"]) == len(items), what="all is sized", within_s=60)
        second.start()
    scene.note("attempts that were not held against a run or an item", scene.count(_SPARES))


def _freeze(scene: Scene, worker: Member) -> None:
    worker.pause()
    time.sleep(float(scene.rig.environ["HEADROOM_LEASE_S"]) + 0.5)
    worker.resume()


@case(8, "every process restarted in turn under load")
def rolling_restart(scene: Scene) -> None:
    """A client that tries once more sees no failure, and what is in hand is finished."""
    before = scene.driver.ledger.counts["5xx in windows"]
    with scene.fault():
        for member in scene.rig.members:
            scene.load.post(scene.times(5, 20))
            member.terminate()
            member.start()
            scene.rig.wait_until_ready()
            scene.load.acknowledged()
    failures = scene.driver.ledger.counts["5xx in windows"] - before
    scene.note("5xx during the restarts", failures)
    scene.expect(not failures, "I4", f"{failures} answers of 5xx while processes were restarted in turn")


@case(13, "a worker that lost its run writes late")
def stale_holder(scene: Scene) -> None:
    """Stopped in the middle, overtaken when its lease has run out, and woken while the other is at work."""
    for _ in range(scene.times(1, 5)):
        with scene.fault():
            _overtaken(scene)


def _overtaken(scene: Scene) -> None:
    first, second = scene.rig.workers
    second.terminate()
    scene.rig.failpoints.set(Trait.SLOW, seconds=0.8)
    job = scene.job(inference(scene.rng.randrange(62_000, 90_000)))
    assert job is not None
    scene.wait_for(lambda: scene.query(_RUN, job.run_id)[0][0] == "running", what="the run is taken")
    first.pause()
    second.start()
    scene.wait_for(lambda: int(str(scene.query(_RUN, job.run_id)[0][1])) > 1, what="the run is taken over")
    first.resume()
    scene.driver.follow(job)
