"""Cases D: the contract of the API when requests are repeated and when they meet."""

import functools
import json
import time
from collections import Counter
from typing import Any

from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.ledger import Job
from scripts.faulting.load import body_of, inference
from scripts.faulting.scene import Scene
from scripts.faulting.together import at_once
from service.access import Role

_WORKLOADS = "/v1/workloads"
_SLOW_S = 0.06
_BEGUN = b"SELECT count(*) FROM runs WHERE attempts > 0 AND id = ANY(%s)"
_AGE = b"UPDATE idempotency_keys SET created_at = created_at - interval '2 days' WHERE key = %s"


@case(28, "one key, many posts at once over both web processes", quick=True)
def one_key(scene: Scene) -> None:
    """One job; one is told 202, the others that it is in progress or the same answer again."""
    for _ in range(scene.times(2, 10)):
        person, key = scene.driver.person(), scene.questions.key()
        body = body_of(person, key, scene.questions.fresh())
        job = scene.driver.ledger.job(person.tenant, key, body)
        headers = {"Idempotency-Key": key}
        post = functools.partial(scene.driver.send, person, "POST", _WORKLOADS, body, headers=headers)
        answers = at_once([functools.partial(post, web=n % 2) for n in range(50)])
        for answer in answers:
            scene.driver.ledger.tried(job, answer)
        first = [answer for answer in answers if answer.is_success and "idempotency-replayed" not in answer.headers]
        others = {answer.status for answer in answers if not answer.is_success}
        scene.expect(len(first) == 1, "I2", f"{len(first)} of 50 posts under one key were the first")
        scene.expect(others <= {409}, "I4", f"posts under one key at once were answered {others}")
        scene.driver.follow(job)
        later = post()
        scene.expect(
            first and (later.status, later.body) == (first[0].status, first[0].body),
            "I2",
            "a post that is sent again after the end gets another answer than the first",
        )


@case(29, "keys that are reused, shared, malformed and old")
def wrong_keys(scene: Scene) -> None:
    """Another body is 422, another tenant another job, what is no key is 400, and an old key is new."""
    person, other, key = scene.driver.person("acme"), scene.driver.person("bolt"), scene.questions.key()
    question = scene.questions.fresh()
    scene.driver.submit(person, key, body_of(person, key, question))
    changed = body_of(person, key, scene.questions.fresh())
    answer = scene.driver.send(person, "POST", _WORKLOADS, changed, headers={"Idempotency-Key": key})
    scene.expect(answer.status == 422, "I2", f"another body under a key was answered {answer.status}")
    theirs = scene.driver.submit(other, key, body_of(other, key, question))
    scene.expect(theirs, "I3", "a key that another tenant has used was refused")
    for bad in ("k" * 256, '"quoted"', "a,b", "a\tb", "schlüssel", ""):
        headers = {"Idempotency-Key": bad.encode("utf-8").decode("latin-1")}
        status = scene.driver.send(person, "POST", _WORKLOADS, changed, headers=headers).status
        scene.expect(status == 400, "I4", f"the idempotency key {bad[:20]!r} was answered {status}")
        scene.seen.bad_inputs += 1
    scene.query(_AGE, key)
    body = changed | {"name": f"after its end {person.canary}"}
    again = scene.driver.send(person, "POST", _WORKLOADS, body, headers={"Idempotency-Key": key})
    scene.expect(again.is_success, "I4", f"a key after its retention was answered {again.status}")


@case(31, "two editors change one quote under one ETag", quick=True)
def lost_update(scene: Scene) -> None:
    """One gets through, the other is told 412; without If-Match it is 428."""
    shop = scene.shop("bolt")
    quote = shop.draft()
    path = f"/v1/quotes/{quote['id']}"
    for n in range(scene.times(5, 50)):
        tag = shop.tag(quote["id"])
        bodies = [shop.body(discount_fraction=f"0.{n % 3 + 1}{each}") for each in (1, 2)]
        headers = {"If-Match": tag}
        answers = at_once(
            [functools.partial(shop.call, Role.SELLER, "PUT", path, body, headers=headers) for body in bodies]
        )
        statuses = sorted(answer.status or 0 for answer in answers)
        scene.expect(statuses == [200, 412], "I2", f"two editors under one tag were answered {statuses}")
    status = shop.call(Role.SELLER, "PUT", path, shop.body()).status
    scene.expect(status == 428, "I4", f"a change without If-Match was answered {status}")
    tag = shop.tag(quote["id"])
    known = shop.call(Role.SELLER, "GET", path, headers={"If-None-Match": tag})
    scene.expect(
        (known.status, known.headers.get("etag")) == (304, tag), "I4", f"a known tag was answered {known.status}"
    )


@case(34, "cancelled while queued, running and just done")
def raced_cancellation(scene: Scene) -> None:
    """The end is one, and a cancelled job never shows a result: not at once, and not once all is at rest.

    Of three rounds one is cancelled at once, one when somebody has begun it, one at a moment about its end.
    """
    ends: Counter[str] = Counter()
    cancelled: list[Job] = []
    # So that a run can be found running.
    scene.rig.failpoints.set(Trait.SLOW, seconds=_SLOW_S)
    for n in range(scene.times(12, 201)):
        job = scene.job()
        assert job is not None
        _wait_for_moment(scene, job, n % 3)
        path = f"/v1/runs/{job.run_id}/cancel"
        answers = at_once(
            [functools.partial(scene.driver.send, scene.driver.person(job.tenant), "POST", path) for _ in range(2)]
        )
        statuses = {answer.status for answer in answers}
        scene.expect(statuses <= {200, 409}, "I4", f"cancelled twice at once: {statuses}")
        status = scene.driver.follow(job) or "unknown"
        ends[status] += 1
        wanted = {"cancelled"} if 200 in statuses else {"done", "failed"}
        scene.expect(status in wanted, "I8", f"run {job.run_id} was answered {statuses} and is {status}")
        cancelled += [job] if status == "cancelled" else []
    scene.rig.failpoints.disarm()
    scene.checker.wait_until_at_rest()
    for job in cancelled:
        _check_cancelled(scene, job)
    scene.note("raced runs ended as", dict(ends))
    scene.note("cancelled after somebody had begun them", scene.count(_BEGUN, [job.run_id for job in cancelled]))


def _wait_for_moment(scene: Scene, job: Job, kind: int) -> None:
    if kind:
        scene.wait_for(lambda: scene.driver.look(job) != "queued", what="a run is begun")
    if kind == 2:
        time.sleep(scene.rng.uniform(0.0, 2 * _SLOW_S))


def _check_cancelled(scene: Scene, job: Job) -> None:
    """Whoever had begun it has ended by now: what it found is shown nowhere."""
    person = scene.driver.person(job.tenant, Role.SELLER)
    run = scene.driver.send(person, "GET", f"/v1/runs/{job.run_id}").json()
    shown = (run["status"], run.get("result"))
    scene.expect(shown == ("cancelled", None), "I8", f"run {job.run_id} was cancelled and is {shown[0]} with a result")
    working = scene.driver.send(person, "GET", f"/v1/runs/{job.run_id}/options/1/working").status
    scene.expect(working in {404, 409}, "I8", f"the working of cancelled run {job.run_id} was answered {working}")
    quote = {"run_id": job.run_id, "customer": {"name": "x"}, "currency": "USD"}
    quoted = scene.driver.send(person, "POST", "/v1/quotes", quote).status
    scene.expect(quoted in {409, 422}, "I8", f"a quote of cancelled run {job.run_id} was answered {quoted}")


@case(27, "one item of a batch fails, and the worker of another is killed")
def fan_out(scene: Scene) -> None:
    """The batch is done with its failed item counted and named."""
    person = scene.driver.person()
    scene.rig.failpoints.set(Trait.POISON, "poisoned item")
    scene.rig.failpoints.set(Trait.SLOW, "slow item", seconds=0.3)
    with scene.fault():
        lines = [{"name": f"item {n}", "workload": inference(20_000 + n)} for n in range(scene.times(20, 50))]
        lines[3]["name"], lines[9]["name"] = "poisoned item", "slow item"
        batch = scene.driver.send(person, "POST", "/v1/batches", lines).json()
        scene.wait_for(lambda: _batch(scene, batch["id"])["status"] != "accepted", what="the batch is begun")
        worker = scene.rng.choice(scene.rig.workers)
        for pid in worker.children:
            worker.kill_child(pid)
        scene.wait_for(lambda: _batch(scene, batch["id"])["status"] == "done", what="the batch is done", within_s=90)
    counts = _batch(scene, batch["id"])["counts"]
    scene.note("items by state", counts)
    scene.expect(counts["failed"] == 1, "I1", f"one item of a batch kills its worker, and {counts['failed']} failed")
    answer = scene.driver.send(person, "GET", f"/v1/batches/{batch['id']}/items?state=failed")
    names = [item["name"] for item in answer.json()["items"]]
    scene.expect(names == ["poisoned item"], "I1", f"the failed items of a batch are {names}")


def _batch(scene: Scene, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.driver.send(scene.driver.person(), "GET", f"/v1/batches/{batch_id}").json()
    return found


@case(35, "a batch with wrong items is posted twice, and a worker is killed")
def batch_twice(scene: Scene) -> None:
    """One batch: the wrong items are refused by line, the others are in order, and the second post makes nothing."""
    person, count = scene.driver.person(), scene.times(60, 1000)
    wrong = set(scene.rng.sample(range(count), 7))
    lines = [{"name": f"line {n}", "workload": inference(0 if n in wrong else 1000 + n % 40)} for n in range(count)]
    headers = {"Idempotency-Key": scene.questions.key()}
    with scene.fault():
        first = scene.driver.send(person, "POST", "/v1/batches", lines, headers=headers)
        scene.rng.choice(scene.rig.workers).kill()
        again = scene.driver.send(person, "POST", "/v1/batches", lines, headers=headers)
        scene.expect(first.json()["id"] == again.json()["id"], "I2", "a batch that was posted again is another one")
        scene.rig.mend()
        batch_id = first.json()["id"]
        scene.wait_for(lambda: _batch(scene, batch_id)["status"] == "done", what="the batch is done", within_s=120)
    counts = _batch(scene, batch_id)["counts"]
    scene.expect(counts["refused"] == len(wrong), "I1", f"7 items are wrong, and {counts['refused']} were refused")
    answer = scene.driver.send(
        person, "GET", f"/v1/batches/{batch_id}/results", headers={"Accept": "application/x-ndjson"}
    )
    items = [json.loads(line) for line in answer.body.splitlines() if line]
    names = [item["name"] for item in items if item["name"] is not None]
    wanted = [f"line {n}" for n in range(count) if n not in wrong]
    in_order = [name for name in names if name in set(wanted)] == wanted
    scene.expect(in_order, "I2", "the results of a batch are not in the order of its items")
    scene.expect(len(items) == count, "I1", f"of {count} items {len(items)} have a result")
