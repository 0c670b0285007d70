"""Cases C: the broker, the cache and the database die, hang, forget, fill up, and are slow."""

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import redis

from scripts.faulting.bounds import SESSIONS
from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.load import body_of, inference
from scripts.faulting.member import is_ready
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from scripts.faulting.together import at_once
from service.access import Role

# Bad enough to be called a hang, however busy the machine: 2 s is what is promised.
_HANGS_S = 15.0
_SIZINGS = b"SELECT coalesce(sum(attempts), 0) FROM runs WHERE digest = %s"
# Each process pools so many, as many again beyond the pool, and as many that stay open for writing.
_SESSIONS_WEB, _SESSIONS_OTHER = 24, 16


@case(14, "broker killed and started again under load", quick=True)
def broker_killed(scene: Scene) -> None:
    """The workers go on by themselves, with what its file holds; the sweeper rings for what it does not."""
    for _ in range(scene.times(1, 3)):
        with scene.fault():
            scene.rig.failpoints.set(Trait.SLOW, seconds=0.2)
            scene.load.post(scene.times(16, 100))
            time.sleep(scene.rng.uniform(0.3, 1.0))
            scene.rig.broker.kill()
            time.sleep(scene.seconds(0.5, 2.0))
            scene.rig.broker.start()
            scene.load.acknowledged()


@case(15, "broker comes back empty", quick=True)
def broker_wiped(scene: Scene) -> None:
    """Every run that has not ended is rung for again, once."""
    with scene.fault():
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.3)
        scene.load.post(scene.times(16, 100))
        time.sleep(scene.rng.uniform(0.3, 1.0))
        scene.rig.broker.wipe()
        scene.rig.broker.start()
        scene.load.acknowledged()


def submitted_meanwhile(scene: Scene, name: str, during_s: float) -> None:
    """Clients go on posting while a part is away: each is answered soon, with 202 or with 503."""
    slowest_s, accepted, refused = 0.0, 0, 0
    until_s = time.monotonic() + during_s
    while time.monotonic() < until_s:
        person, key = scene.driver.person(), scene.questions.key()
        body = body_of(person, key, scene.questions.fresh())
        job = scene.driver.ledger.job(person.tenant, key, body)
        answer = scene.driver.send(person, "POST", "/v1/workloads", body, headers={"Idempotency-Key": key})
        scene.driver.ledger.tried(job, answer)
        slowest_s = max(slowest_s, answer.took_s)
        if answer.is_success:
            accepted += 1
        else:
            refused += 1
            scene.expect(answer.status == 503, "I4", f"while the {name} was away a post got {answer.status}")
        time.sleep(0.05)
    scene.note(f"posts accepted, refused without the {name}", [accepted, refused])
    scene.note(f"slowest post without the {name} [s]", round(slowest_s, 2))
    scene.expect(slowest_s < _HANGS_S, "I4", f"a post took {slowest_s:.1f} s while the {name} was away")
    scene.expect(accepted, "I1", f"nothing was accepted while the {name} was away, although the database was there")


@case(16, "broker down while clients submit", quick=True)
def broker_down(scene: Scene) -> None:
    """First its connections are cut, then it swallows what it gets; the runs are stored, and done afterwards."""
    with scene.fault():
        scene.rig.broker.proxy.cut()
        submitted_meanwhile(scene, "broker", scene.seconds(3, 30))
        scene.rig.broker.proxy.blackhole()
        submitted_meanwhile(scene, "broker", scene.seconds(3, 30))


@case(17, "broker out of memory")
def broker_full(scene: Scene) -> None:
    """It refuses, and evicts nothing; /readyz says so."""
    with scene.fault(), redis.Redis.from_url(scene.rig.broker.url) as broker:
        broker.config_set("maxmemory", 1)
        try:
            submitted_meanwhile(scene, "broker", scene.seconds(3, 30))
            web = scene.rig.webs[0]
            scene.wait_for(lambda: not is_ready(web), what="/readyz says that the broker takes nothing", within_s=10)
        finally:
            broker.config_set("maxmemory", 0)


@case(18, "cache down, hanging, slow")
def cache_away(scene: Scene) -> None:
    """Every answer is right, and nobody pays for the cache again and again."""
    plain_s = _slowest_reads(scene)
    with scene.fault():
        for name, weather in (
            ("down", scene.rig.cache.proxy.cut),
            ("hanging", scene.rig.cache.proxy.blackhole),
            ("slow", lambda: scene.rig.cache.proxy.delay(2.0)),
        ):
            weather()
            scene.load.post(scene.times(10, 60))
            scene.load.acknowledged()
            scene.note(f"p95 of reads, cache {name} [s]", round(_slowest_reads(scene), 3))
            scene.rig.cache.proxy.clear()
    scene.note("p95 of reads, cache there [s]", round(plain_s, 3))


def _slowest_reads(scene: Scene) -> float:
    person = scene.driver.person()
    took = sorted(scene.driver.send(person, "GET", "/v1/runs?limit=5").took_s for _ in range(40))
    return took[int(len(took) * 0.95)]


@contextmanager
def _sessions_watched(scene: Scene) -> Iterator[list[int]]:
    """The most database sessions that the product held in the block."""
    most, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            most[0] = max(most[0], scene.count(SESSIONS))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


@case(20, "a herd asks one new question, and known ones whose answers the cache just lost", quick=True)
def herd(scene: Scene) -> None:
    """One computes, the others wait or join; what the database knows is not computed again."""
    count = scene.times(60, 300)
    question = inference(scene.rng.randrange(30_000, 55_000))
    with _sessions_watched(scene) as most:
        jobs = [job for job in at_once([lambda: scene.job(question) for _ in range(count)]) if job]
        scene.expect(len(jobs) == count, "I1", f"of a herd of {count} only {len(jobs)} were let in")
        scene.driver.follow(jobs[0])
        known = _known_again(scene, scene.times(10, 50))
    digest = str(scene.query(b"SELECT digest FROM runs WHERE id = %s", jobs[0].run_id)[0][0])
    sizings = scene.count(_SIZINGS, digest)
    scene.note("sizings of one question asked by a herd", sizings)
    scene.note("sizings of known questions", known)
    scene.note("most database sessions", most[0])
    scene.expect(sizings <= 2, "I7", f"a question that {count} asked at once was computed {sizings} times")
    scene.expect(not known, "I7", f"{known} questions were computed again because the cache had lost them")
    bound = len(scene.rig.webs) * _SESSIONS_WEB + (len(scene.rig.members) - len(scene.rig.webs)) * _SESSIONS_OTHER
    scene.expect(most[0] <= bound, "I7", f"{most[0]} database sessions, and the pools have {bound}")


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


@case(22, "database shut down at once under load, then every session cut")
def database_restarted(scene: Scene) -> None:
    """The pools mend themselves; who called meanwhile was told to come back."""
    for _ in range(scene.times(1, 3)):
        with scene.fault():
            scene.load.post(scene.times(16, 100))
            time.sleep(scene.rng.uniform(0.2, 1.0))
            scene.rig.database.shut_down_at_once()
            time.sleep(scene.seconds(0.5, 3.0))
            scene.rig.database.server.start()
            scene.load.acknowledged()
    with scene.fault():
        scene.load.post(scene.times(16, 100))
        for _ in range(scene.times(3, 10)):
            time.sleep(scene.rng.uniform(0.05, 0.3))
            scene.rig.database.cut_sessions()
        scene.load.acknowledged()


@case(23, "a foreign session holds a lock")
def foreign_lock(scene: Scene) -> None:
    """Statements time out, callers get 503, and no session is left behind."""
    with scene.fault(), psycopg.connect(scene.rig.database.url) as foreign:
        foreign.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
        person = scene.driver.person()
        answers = [scene.driver.send(person, "GET", "/v1/runs?limit=1") for _ in range(2)]
        key = scene.questions.key()
        body = body_of(person, key, scene.questions.fresh())
        answers.append(scene.driver.send(person, "POST", "/v1/workloads", body, headers={"Idempotency-Key": key}))
        scene.note("slowest answer behind a lock [s]", round(max(answer.took_s for answer in answers), 1))
        statuses = {answer.status for answer in answers}
        scene.expect(statuses <= {503, 504}, "I4", f"behind a lock callers were answered {statuses}")
        foreign.rollback()


@case(24, "serialization failures and deadlocks")
def serialization_failures(scene: Scene) -> None:
    """Two people change and revise at once on a database that refuses what it cannot put in order."""
    shop = scene.shop("cyan")
    drafts = [shop.draft() for _ in range(scene.times(2, 5))]
    issued = [shop.issued() for _ in range(scene.times(2, 5))]
    before = _refused(scene)
    _isolate(scene, "repeatable read")
    scene.rig.database.cut_sessions()
    scene.rig.wait_until_ready()
    try:
        with scene.fault():
            for quote in drafts:
                for _ in range(scene.times(5, 40)):
                    _changed_at_once(scene, shop, quote["id"])
            for quote in issued:
                _revised_at_once(scene, shop, quote["id"])
    finally:
        _isolate(scene, "read committed")
        scene.rig.database.cut_sessions()
    again = _refused(scene) - before
    scene.note("transactions that the database refused", again)
    scene.expect(again, "I2", "the database refused nothing, so nothing is said about what it refuses")


def _refused(scene: Scene) -> int:
    """How often the database has said that it cannot put two transactions in order."""
    return (scene.rig.database.server.folder / "log").read_bytes().count(b"could not serialize access")


def _changed_at_once(scene: Scene, shop: Shop, quote_id: str) -> None:
    """Two changes over whatever version is there: each is made or refused, and none is lost."""
    path, headers = f"/v1/quotes/{quote_id}", {"If-Match": "*"}
    before = shop.call(Role.SELLER, "GET", path).json()["version"]
    # Each says what no body said before: one that changes nothing makes no version.
    bodies = [shop.body(discount_fraction=f"0.2{scene.rng.randrange(10**9):09d}{place}") for place in (1, 2)]
    answers = at_once(
        [functools.partial(shop.call, Role.SELLER, "PUT", path, body, headers=headers) for body in bodies]
    )
    statuses = [answer.status for answer in answers]
    scene.expect(set(statuses) <= {200, 503}, "I4", f"of two changes at once: {statuses}")
    after = shop.call(Role.SELLER, "GET", path).json()["version"]
    made = statuses.count(200)
    scene.expect(after - before == made, "I2", f"{made} changes of quote {quote_id} made {after - before} versions")


def _isolate(scene: Scene, level: str) -> None:
    scene.query(f"ALTER DATABASE headroom SET default_transaction_isolation = '{level}'".encode())


def _revised_at_once(scene: Scene, shop: Shop, quote_id: str) -> None:
    """Of two next revisions one is made."""
    headers = {"If-Match": "*"}
    path = f"/v1/quotes/{quote_id}/revise"
    answers = at_once([lambda: shop.call(Role.SELLER, "POST", path, {}, headers=headers)] * 2)
    made = [answer.json() for answer in answers if answer.is_success]
    statuses = [answer.status for answer in answers]
    scene.expect(made or 503 in statuses, "I4", f"of two revisions at once none was made: {statuses}")
    scene.expect(len(made) <= 1, "I2", f"two next revisions of quote {quote_id} were made at once")
    scene.expect(set(statuses) <= {200, 201, 409, 412, 503}, "I4", f"of two revisions at once: {statuses}")


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
