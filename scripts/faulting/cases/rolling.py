"""Case 8: the next release comes, process by process, under load; and goes again."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.faulting.answer import Answer
from scripts.faulting.case import case
from scripts.faulting.cases.meanwhile import Post, drawn
from scripts.faulting.member import Member
from scripts.faulting.rig import of_tree
from scripts.faulting.scene import Scene
from scripts.faulting.trees import next_release
from service.queue import QueueName, TaskName, make_celery

# What a worker gave back unspoilt is not held against it.
_WASTED = b"SELECT coalesce(sum(attempts - 1 - spares), 0) FROM runs WHERE attempts > 1"
# A worker that has just started is slow for a moment, and more so where many start: that is no waste of the restart.
_PATIENCE = {
    "HEADROOM_TASK_SOFT_LIMIT_S": "6",
    "HEADROOM_TASK_HARD_LIMIT_S": "8",
    "HEADROOM_LEASE_S": "10",
    "HEADROOM_VISIBILITY_TIMEOUT_S": "16",
}
_CLIENTS = 4
_PAUSE_S = 0.1
# Whoever was told nothing waits for so long, and for as long as it is told to, and then tries once more.
_AGAIN_AFTER_S = 0.5


@case(8, "every process replaced in turn under load, by the next release and back")
def rolling_restart(scene: Scene) -> None:
    """A client that tries once more sees no failure, what is in hand is finished, and each release understands what
    the other has put into the broker; what neither understands holds up nobody.
    """
    before, restarts = scene.count(_WASTED), 0
    with next_release() as (tree, old), scene.fault(), scene.rig.changed(scene.rig.workers, _PATIENCE):
        scene.rig.migrate(tree=tree)
        for to in (tree, scene.rig.tree):
            _hand_over(scene, to)
            for member in scene.rig.members:
                _replaced(scene, member, to)
            restarts += len(scene.rig.workers) + len(scene.rig.workers)
        scene.rig.migrate("--to", old, tree=tree)
    wasted = scene.count(_WASTED) - before
    scene.note("workers restarted, attempts begun again", [restarts, wasted])
    # Each has one run in hand, which it finishes.
    scene.expect(wasted <= restarts, "I7", f"{wasted} attempts were wasted by {restarts} restarts of workers")


def _replaced(scene: Scene, member: Member, tree: Path) -> None:
    """It ends and comes up from that tree, while clients post."""
    posts = drawn(scene, scene.times(5, 16))
    with ThreadPoolExecutor(_CLIENTS, "clients") as pool:
        asked = []
        for place, post in enumerate(posts):
            asked.append(pool.submit(_sent, scene, post, place))
            if place == len(posts) // 4:
                _start_from(member, tree)
            time.sleep(_PAUSE_S)
        scene.rig.wait_until_ready()
        answers = [each.result() for each in asked]
    failed = [answer.status for answer in answers if not answer.is_success and answer.status != 409]
    name = member.process.name
    scene.expect(not failed, "I4", f"clients who tried once more were answered {failed} while {name} was replaced")


def _sent(scene: Scene, post: Post, place: int) -> Answer:
    """One try at one web process, and where it fails one at the other."""
    webs = len(scene.rig.webs)
    answer = post.send(scene, web=place % webs)
    if answer.is_success:
        return answer
    time.sleep(float(answer.headers.get("retry-after", _AGAIN_AFTER_S)))
    return post.send(scene, web=(place + 1) % webs)


def _hand_over(scene: Scene, to: Path) -> None:
    """What web processes of one release rang for before there was a worker of the other is done by that worker."""
    first, second = scene.rig.workers
    before = first.tree
    for worker in (first, second):
        worker.terminate()
    posts = drawn(scene, scene.times(4, 20))
    answers = [post.send(scene) for post in posts]
    taken = [answer for answer in answers if answer.is_success]
    scene.expect(taken, "I1", "nothing was taken while no worker was there")
    _ring_strangely(scene, [str(answer.json()["id"]) for answer in taken[:1]])
    _start_from(first, to)
    for post in posts:
        job = scene.driver.ledger.job(post.person.tenant, post.key, post.body)
        status = scene.driver.follow(job, within_s=60) if job.acknowledged else None
        scene.expect(status in {"done", "failed"}, "I1", f"a run that the other release rang for is {status}")
    _start_from(second, before)


def _ring_strangely(scene: Scene, run_ids: Sequence[str]) -> None:
    """As a later release might: for a task that nobody knows yet, and for one that is known, with a word more."""
    with make_celery(scene.rig.direct) as app:
        queue = QueueName.INTERACTIVE.value
        app.send_task("of_the_next_release", args=["something"], queue=queue)
        for run_id in run_ids:
            named = {"of_the_next_release": True}
            app.send_task(TaskName.SIZE_WORKLOAD.value, args=[run_id], kwargs=named, queue=queue)


def _start_from(member: Member, tree: Path) -> None:
    member.terminate()
    member.tree, member.environ = tree, {**member.environ, **of_tree(tree)}
    member.start()
