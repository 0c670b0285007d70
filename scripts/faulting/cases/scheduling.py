"""Cases B: who leads, what is due, and time."""

import functools
import time

from scripts.faulting.case import case
from scripts.faulting.checker import read_lines
from scripts.faulting.failpoints import Trait
from scripts.faulting.rig import Member
from scripts.faulting.scene import Scene

_LEADER = b"SELECT holder, token, held_until > now() FROM leases WHERE name = 'dispatcher'"
_TAKEN_OVER_WITHIN_S = 15.0


def leader(scene: Scene) -> tuple[str, int] | None:
    """Who leads, with the token of its lease; None where nobody's lease holds."""
    rows = scene.query(_LEADER)
    return (str(rows[0][0]), int(str(rows[0][1]))) if rows and rows[0][2] else None


def member_of(scene: Scene, holder: str) -> Member:
    """The dispatcher with that name: role, host and process."""
    pid = int(holder.split(":")[2])
    return next(each for each in scene.rig.dispatchers if each.running is not None and each.running.pid == pid)


@case(9, "two dispatchers at once")
def two_dispatchers(scene: Scene) -> None:
    """One leads at a time, and no run is rung by both for the same reason."""
    tokens: set[int] = set()
    until_s = time.monotonic() + scene.seconds(5, 60)
    scene.load.post(scene.times(10, 60))
    while time.monotonic() < until_s:
        found = leader(scene)
        if found is not None:
            tokens.add(found[1])
        time.sleep(0.2)
    scene.load.acknowledged()
    scene.note("leaders seen", len(tokens))
    scene.expect(len(tokens) <= 1, "I8", f"{len(tokens)} times a dispatcher took over from one that lived")


@case(10, "the leader is killed")
def leader_killed(scene: Scene) -> None:
    """The other takes the lease when it has run out, and rings for what was lost meanwhile."""
    took_s = []
    for _ in range(scene.times(1, 5)):
        found = leader(scene)
        assert found is not None
        with scene.fault():
            member_of(scene, found[0]).kill()
            since_s = time.monotonic()
            scene.rig.broker.wipe()
            scene.rig.broker.start()
            scene.load.post(scene.times(5, 20))
            other = functools.partial(_has_other, scene, found)
            scene.wait_for(other, what="the standby leads", within_s=_TAKEN_OVER_WITHIN_S)
            took_s.append(round(time.monotonic() - since_s, 1))
            scene.load.acknowledged()
    scene.note("standby leads after [s]", took_s)


def _has_other(scene: Scene, old: tuple[str, int]) -> bool:
    found = leader(scene)
    return found is not None and found != old


@case(12, "a run longer than the visibility timeout of its message")
def longer_than_visible(scene: Scene) -> None:
    """No task is ever put off with the broker: what is due lies in the database. No run is begun twice meanwhile."""
    with scene.fault():
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.8)
        scene.load.post(scene.times(12, 60), question=scene.questions.fresh)
        jobs = scene.load.acknowledged()
        for job in jobs:
            scene.driver.follow(job, within_s=90)
    ids = {job.run_id for job in jobs}
    begun = [
        line["run_id"]
        for member in scene.rig.workers
        for line in read_lines(member.log)
        if line.get("event") == "run_claimed" and line.get("run_id") in ids
    ]
    scene.note("runs, and how often they were begun", [len(ids), len(begun)])
    again = scene.count(b"SELECT count(*) FROM runs WHERE id = ANY(%s) AND attempts > 1", list(ids))
    scene.expect(len(begun) - len(ids) <= again, "I2", f"{len(ids)} runs were begun {len(begun)} times")
