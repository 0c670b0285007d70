"""Case 48: one tenant calls and asks as much as it can."""

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable

from scripts.faulting.case import case
from scripts.faulting.ledger import Answer
from scripts.faulting.load import body_of
from scripts.faulting.scene import Scene
from service.access import Quota
from service.planning.quotas import set_quota

_WORKLOADS = "/v1/workloads"
# Of the tenant that floods; a process remembers for a moment what a key may do.
_NARROW = Quota(reads=300, writes=100, open_runs=20)
_REMEMBERED_S = 0.5


@case(48, "one tenant floods")
def flood(scene: Scene) -> None:
    """It is told 429 and when to come back, at its quota of calls and of open runs; the others are served as before."""
    runtime, flooding = scene.driver.runtime, scene.driver.person("acme")
    calm_s, alone_s = _p95(scene, "bolt"), slowest_job(scene, "bolt")
    set_quota(runtime, flooding.tenant_id, _NARROW)
    time.sleep(_REMEMBERED_S)
    refused: Counter[str] = Counter()
    stop = threading.Event()
    floods = [functools.partial(_flooded, scene, refused, stop, read) for read in (_read, _post)] * 4
    threads = [threading.Thread(target=each) for each in floods]
    for thread in threads:
        thread.start()
    flooded_s, beside_s = _p95(scene, "bolt"), slowest_job(scene, "bolt")
    stop.set()
    for thread in threads:
        thread.join()
    set_quota(runtime, flooding.tenant_id, Quota())
    time.sleep(_REMEMBERED_S)
    for kind in ("GET", "POST"):
        scene.expect(refused[kind], "I7", f"a flood of {kind} was never refused")
    scene.note("calls of the flood that were refused", dict(refused))
    scene.note("p95 of another tenant, calm and in the flood [s]", [round(calm_s, 3), round(flooded_s, 3)])
    scene.note("slowest job of another tenant, calm and in the flood [s]", [round(alone_s, 2), round(beside_s, 2)])


def _flooded(scene: Scene, refused: Counter[str], stop: threading.Event, call: Callable[[Scene], Answer]) -> None:
    while not stop.is_set():
        answer = call(scene)
        if answer.status == 429:
            refused["GET" if call is _read else "POST"] += 1
            scene.expect(answer.headers.get("retry-after"), "I4", "429 without Retry-After")
            scene.expect("ratelimit-limit" in answer.headers, "I4", "429 without RateLimit fields")


def _read(scene: Scene) -> Answer:
    return scene.driver.send(scene.driver.person("acme"), "GET", "/v1/runs?limit=1")


def _post(scene: Scene) -> Answer:
    person, key = scene.driver.person("acme"), scene.questions.key()
    return scene.driver.send(person, "POST", _WORKLOADS, body_of(person, key, scene.questions.fresh()))


def slowest_job(scene: Scene, tenant: str) -> float:
    """Of a few jobs, one after the other, that of which it took longest until it was done."""
    took = []
    for _ in range(scene.times(3, 10)):
        since_s = time.monotonic()
        job = scene.job(tenant=tenant)
        if job is not None:
            scene.driver.follow(job)
        took.append(time.monotonic() - since_s)
    return max(took)


def _p95(scene: Scene, tenant: str) -> float:
    person = scene.driver.person(tenant)
    took = sorted(scene.driver.send(person, "GET", "/v1/runs?limit=1").took_s for _ in range(scene.times(50, 300)))
    return took[int(len(took) * 0.95)]
