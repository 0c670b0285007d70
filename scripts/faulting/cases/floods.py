"""Case 48: one tenant calls and asks as much as it can."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from config.environment import ROOT
from scripts.benchmark.procfs import cpu_between, cpu_s
from scripts.faulting.answer import Answer
from scripts.faulting.case import case
from scripts.faulting.flooding import Flood, Told
from scripts.faulting.raw import answer_of
from scripts.faulting.scene import Scene
from service.access import Quota
from service.planning.quotas import set_quota

# Of the tenant that floods; a process remembers for a moment what a key may do.
_NARROW = Quota(reads=300, writes=100, open_runs=20)
_REMEMBERED_S = 0.5
_REQUESTS_S = 1000
_LOOKED_AT_EVERY_S = 0.5
# Calls of somebody else in the first second of a flood, when all that it may call comes at once.
_FIRST = 300
_LAST_ANSWERS_S = 60.0
# Requests that find room at the same moment: so many are worked on at once, in each of two web processes.
_AT_ONCE = 16
_OPEN = b"SELECT count(*) FROM runs WHERE status IN ('queued', 'running') AND tenant_id = %s"


@dataclass(slots=True)
class _Watched:
    """What a flood came to: as its sender tells, and as the rig shows."""

    told: Told = field(default_factory=Told)
    most_open: int = 0
    cpu_cores: dict[str, float] = field(default_factory=dict)


@case(48, "one tenant floods")
def flood(scene: Scene) -> None:
    """It is told 429 and when to come back, at its quota of calls and of open runs; the others are served as before."""
    runtime, flooding = scene.driver.runtime, scene.driver.person("acme")
    calm, alone_s = _took(scene, "bolt"), slowest_job(scene, "bolt")
    set_quota(runtime, flooding.tenant_id, _NARROW)
    time.sleep(_REMEMBERED_S)
    with _flooded(scene, posts=scene.times(500, 10_000)) as seen:
        flooded, beside_s = _took(scene, "bolt"), slowest_job(scene, "bolt")
    set_quota(runtime, flooding.tenant_id, Quota())
    time.sleep(_REMEMBERED_S)
    scene.driver.ledger.acknowledge(flooding.tenant, *seen.told.run_ids)
    _judge(scene, seen)
    calm_s, flooded_s, first_s = _p95(calm), _p95(flooded), _p95(flooded[:_FIRST])
    scene.note("p95 of another tenant, calm and in the flood [s]", [round(calm_s, 4), round(flooded_s, 4)])
    scene.note("ratio of the two, of which less than 2 is asked", round(flooded_s / calm_s, 2))
    scene.note(f"the same of the first {_FIRST} of {len(flooded)} calls in it", round(first_s / calm_s, 2))
    scene.note("slowest job of another tenant, calm and in the flood [s]", [round(alone_s, 2), round(beside_s, 2)])


def _judge(scene: Scene, seen: _Watched) -> None:
    told = seen.told
    for kind in ("GET 429", "POST 429"):
        scene.expect(told.statuses.get(kind), "I7", f"a flood of {kind.split()[0]} was never refused")
    scene.expect(not told.bare, "I4", f"{told.bare} answers of 429 without Retry-After, RateLimit fields or request id")
    failed = sum(count for kind, count in told.statuses.items() if kind.split()[1].startswith("5"))
    scene.expect(not failed and not told.broken, "I4", f"a flood met {failed} answers of 5xx, {told.broken} of none")
    most = (_NARROW.open_runs or 0) + _AT_ONCE
    scene.expect(seen.most_open <= most, "I7", f"{seen.most_open} runs of the flood were open, not {most} at most")
    for kind, sample in told.samples.items():
        _hear(scene, kind.split()[0], answer_of(sample.encode("latin-1")))
    scene.note("sent in the flood, and per second", [told.sent, round(told.sent / told.seconds)])
    scene.note("answers to the flood", dict(sorted(told.statuses.items())))
    scene.note("open runs of the flood, at most", seen.most_open)
    scene.note("cores busy in the flood", seen.cpu_cores)


def _hear(scene: Scene, method: str, answer: Answer) -> None:
    path = "/v1/runs" if method == "GET" else "/v1/workloads"
    scene.driver.ledger.received("acme", method, path, answer)


@contextmanager
def _flooded(scene: Scene, *, posts: int) -> Iterator[_Watched]:
    """While the block lasts, and until that many posts have left."""
    person, seen, over = scene.driver.person("acme"), _Watched(), threading.Event()
    ports = tuple(web.port for web in scene.rig.webs if web.port is not None)
    asked = Flood(ports=ports, token=person.token, name=f"flood {person.canary}", requests_s=_REQUESTS_S, posts=posts)
    command = (sys.executable, "-m", "scripts.faulting.flooding")
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        client.stdin.write(f"{json.dumps(asdict(asked))}\n")
        client.stdin.flush()
        before, since_s = _cpu(scene, client.pid), time.monotonic()
        looking = threading.Thread(target=_look, args=(scene, person.tenant_id, seen, over))
        looking.start()
        try:
            yield seen
            seen.cpu_cores = _cores(before, _cpu(scene, client.pid), time.monotonic() - since_s)
        finally:
            output, _ = client.communicate(timeout=_LAST_ANSWERS_S)
            over.set()
            looking.join()
    seen.told = Told(**json.loads(output))


def _look(scene: Scene, tenant_id: str, seen: _Watched, over: threading.Event) -> None:
    while not over.wait(_LOOKED_AT_EVERY_S):
        seen.most_open = max(seen.most_open, scene.count(_OPEN, tenant_id))


def _cpu(scene: Scene, client: int) -> dict[str, dict[int, float]]:
    rig = scene.rig
    parts: dict[str, Sequence[int]] = {
        "web": [pid for web in rig.webs for pid in web.family],
        "workers": [pid for worker in rig.workers for pid in worker.family],
        "dispatchers": [pid for one in rig.dispatchers for pid in one.family],
        "client of the flood": [client],
    }
    return {name: cpu_s(pids) for name, pids in parts.items()}


def _cores(
    before: Mapping[str, dict[int, float]], after: Mapping[str, dict[int, float]], seconds: float
) -> dict[str, float]:
    return {name: round(cpu_between(spent, after[name]) / seconds, 2) for name, spent in before.items()}


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


def _took(scene: Scene, tenant: str) -> list[float]:
    """Seconds that calls took, one right after the other: for so long that a window of the flood begins meanwhile."""
    person = scene.driver.person(tenant)
    return [scene.driver.send(person, "GET", "/v1/runs?limit=1").took_s for _ in range(scene.times(50, 3_000))]


def _p95(took_s: Sequence[float]) -> float:
    return sorted(took_s)[int(len(took_s) * 0.95)]
