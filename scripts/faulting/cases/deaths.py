"""Cases A: processes die, at the worst of moments."""

import time
from dataclasses import dataclass

from scripts.faulting.bounds import held
from scripts.faulting.case import case
from scripts.faulting.checker import AT_REST_WITHIN_S, read_lines
from scripts.faulting.failpoints import KOMBU_BY_ITSELF, KOMBU_VARIABLE, Failpoint, Trait
from scripts.faulting.ledger import ENDED, Job
from scripts.faulting.load import inference
from scripts.faulting.member import Member, supervised
from scripts.faulting.scene import Scene

_RUN = b"SELECT status, attempts, error_code FROM runs WHERE id = %s"
_RUNNING = b"SELECT count(*) FROM runs WHERE status = 'running' AND follows_run_id IS NULL"
_HELD = b"SELECT count(*) FROM batch_chunks WHERE status = 'running'"
_SIZED = b"SELECT count(*) FROM batch_items WHERE batch_id = %s AND state = 'done'"
_SPARES = b"SELECT (SELECT sum(spares) FROM runs) + (SELECT sum(spares) FROM batch_items)"
_ENDINGS = frozenset({"run_done", "run_failed"})
_ABOUT_RUNS = _ENDINGS | {"run_claimed"}
# So long a run takes while children are killed, and so many looks there may be for one that is hit.
_SIZED_S = 0.4
_TRIES_PER_HIT = 4
_SPARED_FROM = 2
# So long two work at one run, the first of which had been stopped at it.
_STALE_S, _OVERTAKING_S = 0.3, 0.7
# Ten workers die one after another, each once another has started.
_ALL_DEAD_S = 120.0
_FROZEN_ISL = 61_005


@case(1, "worker child killed in the middle of a task", quick=True)
def child_killed(scene: Scene) -> None:
    """So often in the middle of a run, at random moments of it; each run is done once, by whoever has it last."""
    wanted = scene.times(3, 20)
    draws = [(scene.rng.random(), scene.rng.uniform(0.0, _SIZED_S)) for _ in range(_TRIES_PER_HIT * wanted)]
    with scene.fault():
        scene.rig.failpoints.set(Trait.SLOW, seconds=_SIZED_S)
        scene.load.post(scene.times(20, 200), question=scene.questions.fresh)
        killed: set[Claim] = set()
        for worker_draw, pause_s in draws:
            if len(_cut_short(scene, killed)) >= wanted:
                break
            killed |= _kill_at_work(scene, killed, worker_draw, pause_s)
        scene.rig.failpoints.unset(Trait.SLOW)
        scene.load.acknowledged()
    hits = _cut_short(scene, killed)
    scene.note("children killed, of those in the middle of a run", [len(killed), len(hits)])
    scene.expect(len(hits) >= wanted, "I1", f"{len(hits)} children were killed in the middle of a run, not {wanted}")
    for run_id in {claim.run_id for claim in hits}:
        status, attempts, code = scene.query(_RUN, run_id)[0]
        again = status in ENDED and int(str(attempts)) > 1 and code != "poison"
        scene.expect(again, "I1", f"a run whose worker was killed is {status} {code} after {attempts} attempts")


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt at a run, as a worker tells that it has begun it."""

    run_id: str
    attempt: int


def at_work(member: Member) -> Claim | None:
    """What a worker has in hand, where its last word about runs is that it has taken one."""
    last = None
    for line in read_lines(member.log):
        if line.get("event") in _ABOUT_RUNS and "attempt" in line:
            last = line
    if last is None or last["event"] != "run_claimed":
        return None
    return Claim(str(last["run_id"]), int(str(last["attempt"])))


def _kill_at_work(scene: Scene, known: set[Claim], worker_draw: float, pause_s: float) -> set[Claim]:
    """One child is killed, some time after it has begun what nobody was killed at; what it had in hand."""
    found: list[tuple[Member, Claim]] = []

    def look() -> bool:
        hands = [(member, at_work(member)) for member in scene.rig.workers]
        # A run that kills three is poison, as it should be: that is another case.
        found[:] = [(each, hand) for each, hand in hands if hand and hand not in known and hand.attempt <= _SPARED_FROM]
        return bool(found)

    if not scene.wait_for(look, what="a worker has a run in hand"):
        return set()
    member, claim = found[int(worker_draw * len(found))]
    time.sleep(pause_s)
    if at_work(member) != claim or not member.children or not member.kill_child(member.children[0]):
        return set()
    return {claim}


def _cut_short(scene: Scene, killed: set[Claim]) -> set[Claim]:
    """Those of them that no worker has ended."""
    ended = {
        Claim(str(line["run_id"]), int(str(line["attempt"])))
        for member in scene.rig.workers
        for line in read_lines(member.log)
        if line.get("event") in _ENDINGS and "attempt" in line
    }
    return killed - ended


@case(2, "worker parent killed with its children", quick=True)
def parent_killed(scene: Scene) -> None:
    """The sweeper finds what it held, whatever the broker does about its messages."""
    for _ in range(scene.times(1, 3)):
        with scene.fault():
            _kill_one_at_work(scene, scene.times(16, 200))
    if scene.times(0, 1):
        _killed_under_clocks_of_kombu(scene)


def _kill_one_at_work(scene: Scene, jobs: int) -> None:
    scene.rig.failpoints.set(Trait.SLOW, seconds=0.4)
    scene.load.post(jobs)
    scene.wait_for(lambda: any(map(at_work, scene.rig.workers)), what="a run is taken")
    scene.rng.choice([each for each in scene.rig.workers if at_work(each)] or scene.rig.workers).kill()
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


@case(57, "a worker frozen for longer than its limits and its lease", quick=True)
def frozen(scene: Scene) -> None:
    """Nothing was computed meanwhile, so nothing took too long: a run and a batch are done once it wakes up."""
    first, second = scene.rig.workers
    # Until something is at work nothing is frozen: beside other tests its processes, which yield to all, wait for long.
    begun_s = scene.seconds(90.0, AT_REST_WITHIN_S)
    # It is alone: a worker that ends itself, for it got no time to take what waits, is started again as everywhere.
    with scene.fault(), supervised([first]):
        second.terminate()
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.3)
        job = scene.job(inference(_FROZEN_ISL))
        assert job is not None
        scene.wait_for(lambda: scene.count(_RUNNING), what="the run is taken", within_s=begun_s)
        _freeze(scene, first)
        status = scene.driver.follow(job, within_s=60)
        scene.expect(status == "done", "I1", f"a run is {status} after its worker was frozen")
        items = [{"name": f"item {n}", "workload": inference(_FROZEN_ISL + 1 + n)} for n in range(2)]
        batch = scene.driver.send(scene.driver.person(), "POST", "/v1/batches", items).json()
        scene.wait_for(lambda: scene.count(_HELD), what="the batch is begun", within_s=begun_s)
        _freeze(scene, first)
        scene.wait_for(lambda: scene.count(_SIZED, batch["id"]) == len(items), what="all is sized", within_s=60)
        second.start()
    scene.note("attempts that were not held against a run or an item", scene.count(_SPARES))


def _freeze(scene: Scene, worker: Member) -> None:
    worker.pause()
    time.sleep(float(scene.rig.environ["HEADROOM_LEASE_S"]) + 0.5)
    worker.resume()


@case(13, "a worker that lost its run writes late")
def stale_holder(scene: Scene) -> None:
    """Stopped in the middle, overtaken when its lease has run out, and woken while the other is at work."""
    for _ in range(scene.times(1, 5)):
        with scene.fault():
            _overtaken(scene)


def _overtaken(scene: Scene) -> None:
    first, second = scene.rig.workers
    second.terminate()
    # It goes on whatever its limit of time, which is over when it wakes, and is done before the other.
    scene.rig.failpoints.set(Trait.STUBBORN, seconds=_STALE_S)
    job = scene.job(inference(scene.rng.randrange(62_000, 90_000)))
    assert job is not None
    scene.wait_for(lambda: scene.query(_RUN, job.run_id)[0][0] == "running", what="the run is taken")
    first.pause()
    scene.rig.failpoints.set(Trait.STUBBORN, seconds=_OVERTAKING_S)
    second.start()
    scene.wait_for(lambda: int(str(scene.query(_RUN, job.run_id)[0][1])) > 1, what="the run is taken over")
    first.resume()
    scene.driver.follow(job)
    scene.wait_for(lambda: _said(first, job, "run_taken_over"), what="who lost its run is told so")
    scene.wait_for(lambda: _said(first, job, "run_done") or _said(second, job, "run_done"), what="somebody ends it")
    done = [line["attempt"] for worker in (first, second) for line in _said(worker, job, "run_done")]
    # Where the machine has other things to do the second one may be out of time as well.
    scene.expect(len(done) == 1 and 1 not in done, "I2", f"a run that was taken over was ended by its attempts {done}")


def _said(member: Member, job: Job, event: str) -> list[dict[str, object]]:
    return [line for line in read_lines(member.log) if (line.get("event"), line.get("run_id")) == (event, job.run_id)]
