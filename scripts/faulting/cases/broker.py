"""Cases 14 to 17: the broker dies, forgets, hangs and fills up."""

import time

import redis

from scripts.benchmark.procfs import sockets
from scripts.faulting.case import case
from scripts.faulting.cases.meanwhile import expect_not_ready, submitted_meanwhile
from scripts.faulting.failpoints import BROKER_VARIABLE, NOEVICTION, Trait
from scripts.faulting.member import Member
from scripts.faulting.scene import Scene

# For a few messages.
_ROOM_BYTES = 4096


@case(14, "broker killed and started again under load", quick=True)
def broker_killed(scene: Scene) -> None:
    """The workers go on by themselves, with what its file holds; the sweeper rings for what it does not."""
    for _ in range(scene.times(1, 3)):
        with scene.fault():
            scene.rig.failpoints.set(Trait.SLOW, seconds=0.2)
            scene.load.post(scene.times(16, 200))
            time.sleep(scene.rng.uniform(0.3, 1.0))
            scene.rig.broker.kill()
            time.sleep(scene.seconds(0.5, 2.0))
            scene.rig.broker.start()
            scene.load.acknowledged()


@case(15, "broker comes back empty", quick=True)
def broker_wiped(scene: Scene) -> None:
    """Every run that has not ended is rung for again, once.

    Each worker has a child by then that was forked while it was connected, as after any limit of time: what such a one
    inherits must not keep the lost connection alive.
    """
    for worker in scene.rig.workers:
        for child in worker.children:
            worker.kill_child(child)
    scene.rig.wait_until_whole()
    what = "what a worker has open is not open in its child as well"
    scene.wait_for(lambda: not any(map(_shared, scene.rig.workers)), what=what, invariant="I7")
    with scene.fault():
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.3)
        scene.load.post(scene.times(16, 200))
        time.sleep(scene.rng.uniform(0.3, 1.0))
        scene.rig.broker.wipe()
        scene.rig.broker.start()
        scene.load.acknowledged()


def _shared(worker: Member) -> set[str]:
    """Connections that a worker has in common with who descends from it."""
    parent, *children = map(sockets, worker.family)
    return parent & set().union(*children)


@case(16, "broker down while clients submit", quick=True)
def broker_down(scene: Scene) -> None:
    """First its connections are cut, then it swallows what it gets; the runs are stored, and done afterwards."""
    with scene.fault():
        scene.rig.broker.proxy.cut()
        submitted_meanwhile(scene, "broker, cut off", jobs=scene.times(10, 100), during_s=scene.seconds(3, 30))
        scene.rig.broker.proxy.blackhole()
        submitted_meanwhile(scene, "broker, hanging", jobs=scene.times(10, 100), during_s=scene.seconds(3, 30))


@case(17, "broker out of memory")
def broker_full(scene: Scene) -> None:
    """It refuses, and evicts nothing; /readyz says so. That it evicts instead is for a mutant without an outbox."""
    policy = scene.rig.environ.get(BROKER_VARIABLE, NOEVICTION)
    with scene.fault(), redis.Redis.from_url(scene.rig.broker.url) as broker:
        # One that evicts goes on taking what it then forgets; one that does not takes nothing.
        room_bytes = 1 if policy == NOEVICTION else broker.info("memory")["used_memory"] + _ROOM_BYTES
        broker.config_set("maxmemory-policy", policy)
        broker.config_set("maxmemory", room_bytes)
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.1)
        try:
            submitted_meanwhile(scene, "memory of the broker", jobs=scene.times(20, 200), during_s=scene.seconds(3, 30))
            if policy == NOEVICTION:
                expect_not_ready(scene, "broker")
        finally:
            broker.config_set("maxmemory", 0)
            broker.config_set("maxmemory-policy", NOEVICTION)
