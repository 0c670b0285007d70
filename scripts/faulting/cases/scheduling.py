"""Cases B: who leads, what is due, and time."""

import functools
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from scripts.faulting.case import case
from scripts.faulting.checker import read_lines
from scripts.faulting.driver import TENANTS
from scripts.faulting.failpoints import KOMBU_VARIABLE, Trait
from scripts.faulting.load import body_of
from scripts.faulting.member import Member
from scripts.faulting.scene import Scene
from service.access import Role
from service.planning.schedule.due import begin_due

_LEADER = b"SELECT holder, token, held_until > now() FROM leases WHERE name = 'dispatcher'"
_TAKEN_OVER_WITHIN_S = 15.0
_LEASE_S = 20.0
# Messages return after a second, long before any limit of the runs.
_SOON_VISIBLE = {
    KOMBU_VARIABLE: "1",
    "HEADROOM_TASK_SOFT_LIMIT_S": "12",
    "HEADROOM_TASK_HARD_LIMIT_S": "15",
    "HEADROOM_LEASE_S": f"{_LEASE_S:g}",
    "HEADROOM_VISIBILITY_TIMEOUT_S": "30",
}
_OCCURRENCES = b"SELECT count(*) FROM occurrences WHERE schedule_id = ANY(%s)"
_BATCHES = b"SELECT count(DISTINCT batch_id) FROM occurrences WHERE schedule_id = ANY(%s)"
_NOTED = b"""SELECT count(*) FROM audit_events WHERE action = 'occurrence.created'
    AND resource_id IN (SELECT id FROM occurrences WHERE schedule_id = ANY(%s))"""
# How many believe that they lead beside the one that does, and how often each of them looks.
_BESIDE = 2
_LOOKS_EVERY_S = 0.2
_TICKS_APART_S = 1.1
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
    return scene.count(_OCCURRENCES, schedules)


@case(9, "two dispatchers at once")
def two_dispatchers(scene: Scene) -> None:
    """Two who believe that they lead, beside the one that does, for a minute: each tick makes one occurrence with one
    batch. Whoever finds the tick taken changes nothing, so the audit, which tells of changes, has no event of it.
    """
    schedules = _schedules(scene, scene.times(3, 10))
    ended, rounds = threading.Event(), 0

    def lead() -> int:
        made = 0
        while not ended.wait(_LOOKS_EVERY_S):
            made += begin_due(scene.driver.runtime)
        return made

    with ThreadPoolExecutor(_BESIDE, "dispatchers") as pool:
        leading = [pool.submit(lead) for _ in range(_BESIDE)]
        try:
            until_s = time.monotonic() + scene.seconds(6, 60)
            while time.monotonic() < until_s:
                rounds += 1
                _tick(scene, schedules, rounds)
        finally:
            ended.set()
        made_beside = [each.result() for each in leading]
    made, batches, noted = (scene.count(query, schedules) for query in (_OCCURRENCES, _BATCHES, _NOTED))
    scene.note("ticks, occurrences, of those made by each of the others", [rounds * len(schedules), made, made_beside])
    ticks = rounds * len(schedules)
    scene.expect(made == ticks, "I2", f"{ticks} ticks made {made} occurrences")
    scene.expect(batches == ticks, "I2", f"{ticks} ticks made {batches} batches")
    scene.expect(noted == ticks, "I9", f"{ticks} ticks were noted {noted} times")


def _tick(scene: Scene, schedules: list[str], number: int) -> None:
    """Each schedule is due at once, at a tick that it has not had; all are done with it afterwards."""
    before = _occurrences(scene, schedules)
    due = b"UPDATE schedules SET cron = %s, next_at = now() - interval '1 minute' WHERE id = ANY(%s)"
    scene.query(due, f"{number % 60} {number // 60} * * *", schedules)
    whole = functools.partial(_has_made, scene, schedules, before + len(schedules))
    scene.wait_for(whole, what="every schedule that is due has an occurrence", within_s=60)
    scene.checker.wait_until_at_rest(within_s=60)
    # A tick is named by its second.
    time.sleep(_TICKS_APART_S)


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
            began = functools.partial(_has_made, scene, schedules, len(schedules))
            scene.wait_for(began, what="the tick that was missed is made up for", within_s=_TAKEN_OVER_WITHIN_S)
        made = _occurrences(scene, schedules)
        scene.expect(made == len(schedules), "I2", f"{len(schedules)} ticks that were missed made {made} occurrences")
    scene.note("standby leads after [s]", took_s)


def _has_made(scene: Scene, schedules: list[str], count: int) -> bool:
    return _occurrences(scene, schedules) >= count


def _has_other(scene: Scene, old: tuple[str, int]) -> bool:
    found = leader(scene)
    return found is not None and found != old


@case(12, "a run longer than the visibility timeout of its message")
def longer_than_visible(scene: Scene) -> None:
    """Its message comes again and again meanwhile, and is turned away: while a lease holds, nobody begins the run."""
    with scene.fault(), scene.rig.changed(scene.rig.workers, _SOON_VISIBLE):
        scene.rig.failpoints.set(Trait.SLOW, seconds=3.0)
        scene.load.post(scene.times(6, 20), question=scene.questions.fresh)
        jobs = scene.load.acknowledged()
        for job in jobs:
            scene.driver.follow(job, within_s=180)
    ids = {job.run_id for job in jobs}
    begun, turned_away = _begun(scene, ids)
    scene.note("runs, begun, messages that came again", [len(ids), sum(map(len, begun.values())), turned_away])
    scene.expect(turned_away, "I2", "no message came again, so nothing is said about runs that are longer")
    for run_id, moments in begun.items():
        early = [after - before for before, after in itertools.pairwise(moments) if after - before < _LEASE_S - 1]
        scene.expect(not early, "I2", f"run {run_id} was begun again while its lease held: after {early} s")


def _begun(scene: Scene, ids: set[str]) -> tuple[dict[str, list[float]], int]:
    """When each run was begun, by the lines of the workers; and how often a message for one was turned away."""
    begun: dict[str, list[float]] = {run_id: [] for run_id in ids}
    turned_away = 0
    for member in scene.rig.workers:
        for line in read_lines(member.log):
            run_id = str(line.get("run_id"))
            if run_id in ids and line.get("event") == "run_claimed":
                begun[run_id].append(datetime.fromisoformat(str(line["timestamp"])).timestamp())
            turned_away += run_id in ids and line.get("event") == "run_not_claimed"
    return {run_id: sorted(moments) for run_id, moments in begun.items()}, turned_away
