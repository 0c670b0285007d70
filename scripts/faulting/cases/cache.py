"""Cases 18, 20 and 26: the cache is down, hangs, is slow, forgets; and nothing but an answer may be missing with it."""

import functools
import itertools
import time
from collections.abc import Callable

import redis

from scripts.faulting.case import case
from scripts.faulting.cases.meanwhile import Post
from scripts.faulting.cases.sessions import expect_pooled, sessions_watched
from scripts.faulting.checker import read_lines
from scripts.faulting.load import body_of, inference
from scripts.faulting.scene import Scene
from scripts.faulting.together import at_once
from service.access import Quota
from service.planning.quotas import set_quota

_SIZINGS = b"SELECT coalesce(sum(attempts), 0) FROM runs WHERE digest = %s"
# As the product is set: after a failure nobody asks the cache for so long.
_OPEN_S = 5.0
_BREAKER = {"HEADROOM_BREAKER_OPEN_S": f"{_OPEN_S:g}"}
# Who waits for the cache before anybody knows that it is away: as many as a web process works for at once.
_AT_ONCE = 8
_SLOW_S = 2.0
_WAIT_S = 20
_READS = 50
_REMEMBERED_S = 0.5


@case(18, "cache down, hanging, slow")
def cache_away(scene: Scene) -> None:
    """Every question is answered, in less than twice the time; after a failure nobody waits for the cache for a while;
    calls are counted all the same, by each process for itself.
    """
    lengths = itertools.count(91_000 + scene.rng.randrange(20_000))
    proxy = scene.rig.cache.proxy
    with scene.rig.changed([*scene.rig.webs, *scene.rig.workers], _BREAKER):
        plain_s = _p95_computed(scene, lengths)
        scene.note("p95 of a computed answer, cache there [s]", round(plain_s, 3))
        for name, weather in (
            ("down", proxy.cut),
            ("hanging", proxy.blackhole),
            ("slow", functools.partial(proxy.delay, _SLOW_S)),
        ):
            with scene.fault():
                _without(scene, name, weather)
                p95_s = _p95_computed(scene, lengths)
                _counted_alone(scene, name)
            scene.note(f"p95 of a computed answer, cache {name} [s]", round(p95_s, 3))
            # Figures are held against each other where nothing else runs beside them.
            in_time = p95_s < scene.seconds(10.0, 2.0) * plain_s
            scene.expect(in_time, "I7", f"p95 with the cache {name}: {p95_s:.2f} s, and {plain_s:.2f} s with it")


def _without(scene: Scene, name: str, weather: Callable[[], None]) -> None:
    """The load, all of it answered, of which few wait for the cache."""
    # Whoever was told that the cache was away last time has to have forgotten it.
    time.sleep(_OPEN_S)
    before, since_s = _waited(scene), time.monotonic()
    weather()
    scene.load.post(scene.times(20, 70))
    jobs = scene.load.acknowledged()
    scene.checker.wait_until_at_rest()
    waited = _waited(scene) - before
    most = len(scene.rig.webs) * (_AT_ONCE + (time.monotonic() - since_s) / _OPEN_S + 1)
    scene.note(f"jobs, of which so many waited for the cache, {name}", [len(jobs), waited])
    scene.expect(waited, "I7", f"nobody noticed that the cache was {name}")
    scene.expect(waited <= most, "I7", f"{waited} requests waited for a cache that was {name}, not {most:.0f} at most")


def _waited(scene: Scene) -> int:
    """How often a web process has waited for the cache in vain."""
    return sum(line.get("event") == "cache_unreachable" for web in scene.rig.webs for line in read_lines(web.log))


def _p95_computed(scene: Scene, lengths: "itertools.count[int]") -> float:
    """Of new questions, asked one after the other, until their answers are there."""
    person, took_s = scene.driver.person(), []
    for length in itertools.islice(lengths, scene.times(10, 30)):
        key = scene.questions.key()
        post = Post(person=person, key=key, body=body_of(person, key, inference(length)))
        answer = post.send(scene, wait_s=_WAIT_S)
        done = answer.is_success and answer.json()["status"] == "done"
        scene.expect(done, "I1", f"a question was answered {answer.status} without having been computed")
        took_s.append(answer.took_s)
    return sorted(took_s)[int(len(took_s) * 0.95)]


def _counted_alone(scene: Scene, name: str) -> None:
    """The limiter's mode: a process that cannot count with the others lets through its own share, and no more."""
    person = scene.driver.person("bolt")
    window_s = scene.driver.runtime.settings.rate_window_s
    set_quota(scene.driver.runtime, person.tenant_id, Quota(reads=_READS))
    time.sleep(_REMEMBERED_S)
    # What others have used up of the window does not count.
    time.sleep(window_s - time.time() % window_s)
    try:
        first = int(time.time() // window_s)
        answers = [scene.driver.send(person, "GET", "/v1/runs?limit=1", web=0) for _ in range(3 * _READS)]
        windows = int(time.time() // window_s) - first + 1
    finally:
        set_quota(scene.driver.runtime, person.tenant_id, Quota())
        time.sleep(_REMEMBERED_S)
    allowed = sum(answer.status == 200 for answer in answers)
    bare = sum(answer.status == 429 and "retry-after" not in answer.headers for answer in answers)
    told = all("ratelimit-limit" in answer.headers for answer in answers)
    scene.note(f"calls let through of {_READS} a window, windows, cache {name}", [allowed, windows])
    right = {answer.status for answer in answers} == {200, 429}
    scene.expect(right, "I7", f"a process that counts alone refused nothing, or all: {allowed} of {len(answers)}")
    scene.expect(allowed <= windows * _READS, "I7", f"{allowed} calls were let through in {windows} windows")
    scene.expect(told and not bare, "I4", "calls that were counted alone were not told their limit")


@case(20, "a herd asks one new question, and known ones whose answers the cache just lost", quick=True)
def herd(scene: Scene) -> None:
    """One computes, the others wait or join; what the database knows is not computed again."""
    count = scene.times(60, 300)
    question = inference(scene.rng.randrange(30_000, 55_000))
    with sessions_watched(scene) as watched:
        jobs = [job for job in at_once([lambda: scene.job(question) for _ in range(count)]) if job]
        scene.expect(len(jobs) == count, "I1", f"of a herd of {count} only {len(jobs)} were let in")
        scene.driver.follow(jobs[0])
        known = _known_again(scene, scene.times(10, 50))
    digest = str(scene.query(b"SELECT digest FROM runs WHERE id = %s", jobs[0].run_id)[0][0])
    sizings = scene.count(_SIZINGS, digest)
    scene.note("sizings of one question asked by a herd", sizings)
    scene.note("sizings of known questions", known)
    scene.expect(sizings <= 2, "I7", f"a question that {count} asked at once was computed {sizings} times")
    scene.expect(not known, "I7", f"{known} questions were computed again because the cache had lost them")
    expect_pooled(scene, watched)


def _known_again(scene: Scene, count: int) -> int:
    """How many of so many questions that have an answer are computed anew when the cache forgets all at once.

    One whose sizing an overloaded machine has cut off has none yet.
    """
    asked = [job for job in (scene.job() for _ in range(count)) if job]
    first = [job for job in asked if scene.driver.follow(job) == "done"]
    scene.note("known questions", len(first))
    with redis.Redis.from_url(scene.rig.cache.url) as cache:
        cache.flushall()
    questions = [job.body["workload"] for job in first for _ in range(3)]
    again = at_once([functools.partial(scene.job, question) for question in questions])
    ids = [job.run_id for job in again if job]
    return scene.count(b"SELECT count(*) FROM runs WHERE id = ANY(%s) AND attempts > 0", ids)


@case(26, "nothing of a result lies with the broker")
def no_result_backend(scene: Scene) -> None:
    """Results are the database's: no message about one is ever kept, so none can expire before it is read."""
    job = scene.job()
    assert job is not None
    ended = scene.driver.follow(job, within_s=120)
    for server in (scene.rig.broker, scene.rig.cache):
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            kept = list(client.scan_iter("*celery-task-meta*"))
            scene.expect(not kept, "I8", f"results of tasks are kept by a broker: {kept[:3]}")
            client.flushall()
    status = scene.driver.look(job)
    scene.expect(status == ended, "I8", f"a run was {ended} and is {status} after broker and cache lost everything")
