"""Cases B: who leads, what is due, and time."""

import functools
import time

from scripts.faulting.case import case
from scripts.faulting.checker import read_lines
from scripts.faulting.driver import TENANTS
from scripts.faulting.failpoints import Trait
from scripts.faulting.load import body_of
from scripts.faulting.rig import Member
from scripts.faulting.scene import Scene
from scripts.faulting.together import at_once
from service.access import Role
from service.planning.schedule.due import begin_due

_LEADER = b"SELECT holder, token, held_until > now() FROM leases WHERE name = 'dispatcher'"
_TAKEN_OVER_WITHIN_S = 15.0
_DUE_SOON = b"UPDATE schedules SET next_at = now() + interval '500 milliseconds' WHERE id = ANY(%s)"


def leader(scene: Scene) -> tuple[str, int] | None:
    """Who leads, with the token of its lease; None where nobody's lease holds."""
    rows = scene.query(_LEADER)
    return (str(rows[0][0]), int(str(rows[0][1]))) if rows and rows[0][2] else None


def member_of(scene: Scene, holder: str) -> Member:
    """The dispatcher with that name: role, host and process."""
    pid = int(holder.split(":")[2])
    return next(each for each in scene.rig.dispatchers if each.running is not None and each.running.pid == pid)


def _schedules(scene: Scene, count: int) -> list[str]:
    """Schedules of all tenants, each of a workload of its own."""
    made = []
    for n in range(count):
        admin = scene.driver.person(scene.rng.choice(TENANTS), Role.ADMIN)
        label = scene.questions.key()
        body = body_of(admin, label, scene.questions.fresh()) | {"labels": {"nightly": label}}
        scene.driver.submit(admin, label, body)
        schedule = {"name": f"{admin.canary} {n}", "cron": "0 3 * * *", "selection": {"labels": {"nightly": label}}}
        made.append(scene.driver.send(admin, "POST", "/v1/schedules", schedule).json()["id"])
    scene.checker.wait_until_at_rest()
    return made


def _occurrences(scene: Scene, schedules: list[str]) -> int:
    return scene.count(b"SELECT count(*) FROM occurrences WHERE schedule_id = ANY(%s)", schedules)


@case(9, "two dispatchers at once")
def two_dispatchers(scene: Scene) -> None:
    """Two who believe that they lead, beside the one that does: each tick makes one occurrence with one batch."""
    schedules = _schedules(scene, scene.times(3, 10))
    runtime = scene.driver.runtime
    rounds = scene.times(2, 10)
    for n in range(rounds):
        # Another tick each time: that of the minute before.
        due = b"UPDATE schedules SET cron = %s, next_at = now() - interval '1 minute' WHERE id = ANY(%s)"
        scene.query(due, f"{n} {n} * * *", schedules)
        at_once([functools.partial(begin_due, runtime)] * 2)
        scene.checker.wait_until_at_rest(within_s=60)
    made = _occurrences(scene, schedules)
    scene.note("ticks, and occurrences", [rounds * len(schedules), made])
    scene.expect(made <= rounds * len(schedules), "I2", f"{rounds * len(schedules)} ticks made {made} occurrences")
    scene.expect(made >= len(schedules), "I1", f"{len(schedules)} schedules were due, and {made} occurrences were made")


@case(10, "the leader is killed just before a tick")
def leader_killed(scene: Scene) -> None:
    """The other takes the lease when it has run out; the tick is there once, and late by no more than that."""
    took_s = []
    for _ in range(scene.times(1, 5)):
        schedules = _schedules(scene, 2)
        found = leader(scene)
        assert found is not None
        with scene.fault():
            scene.query(_DUE_SOON, schedules)
            member_of(scene, found[0]).kill()
            since_s = time.monotonic()
            other = functools.partial(_has_other, scene, found)
            scene.wait_for(other, what="the standby leads", within_s=_TAKEN_OVER_WITHIN_S)
            took_s.append(round(time.monotonic() - since_s, 1))
            began = functools.partial(_has_made, scene, schedules)
            scene.wait_for(began, what="the tick that was missed is made up for", within_s=_TAKEN_OVER_WITHIN_S)
        made = _occurrences(scene, schedules)
        scene.expect(made == len(schedules), "I2", f"{len(schedules)} ticks that were missed made {made} occurrences")
    scene.note("standby leads after [s]", took_s)


def _has_made(scene: Scene, schedules: list[str]) -> bool:
    return _occurrences(scene, schedules) >= len(schedules)


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
