"""Case 56: the loss of everything at once, whatever is under way."""

import functools
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from config.environment import settings_from_environment
from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.load import body_of
from scripts.faulting.receiver import TAKES, Receiver, receiving
from scripts.faulting.register import History
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from scripts.faulting.together import at_once
from scripts.processes import deliverer
from service.access import Role

_EVENTS = b"""SELECT resource_id, request_id FROM audit_events WHERE resource_kind = 'quote'
    ORDER BY resource_id, substring(new_state from 'version ([0-9]+)')::int"""
# Batches and occurrences that have not ended, and events on their way, of one tenant.
_UNDER_WAY = b"""SELECT (SELECT count(*) FROM batches WHERE status IN ('accepted', 'running') AND tenant_id = %s),
    (SELECT count(*) FROM occurrences WHERE status <> 'done' AND tenant_id = %s),
    (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND tenant_id = %s)"""
_DUE = b"""UPDATE schedules SET cron = %s, next_at = now() - interval '1 minute' WHERE id = %s AND NOT EXISTS
    (SELECT 1 FROM occurrences WHERE schedule_id = schedules.id AND status <> 'done') RETURNING id"""
_OCCURRENCES = b"SELECT count(*) FROM occurrences WHERE schedule_id = %s"
_UNTOLD = b"""SELECT count(*) FROM webhook_deliveries WHERE webhook_id = %s AND status <> 'delivered'"""
_TOLD = b"SELECT event_id FROM webhook_deliveries WHERE webhook_id = %s"
_PATIENCE = {"HEADROOM_WEBHOOK_RETRY_FIRST_S": "0.5"}
_DELIVERED_WITHIN_S = 60.0
_MEMORY_S = 1.2
_ITEMS = 12
_EVENTS_AT_ONCE = 3
_REASON = {"reason": "because"}
_ACCEPTANCE = {"accepted_by": "somebody"}
_TENANT = "acme"


@dataclass(slots=True, kw_only=True)
class _Work:
    """What is under way beside runs and quotes: batches, a schedule whose tick comes, a webhook that hears of runs."""

    known: dict[str, Any]
    schedule_id: str
    webhook_id: str
    batches: dict[str, bytes] = field(default_factory=dict)
    ticks: int = 0
    hit: Counter[str] = field(default_factory=Counter)


@case(56, "loss of power: everything killed at once and started again", quick=True)
def power_loss(scene: Scene) -> None:
    """At random points under load, with a batch, an occurrence of a schedule and events of a webhook under way; what
    was acknowledged is there, and ends once; quotes have one history.
    """
    history = History()
    shop = scene.shop(_TENANT)
    settings = settings_from_environment({**scene.rig.environ, **_PATIENCE})
    moments = [scene.rng.uniform(0.2, 1.2) for _ in range(scene.times(3, 30))]
    with (
        receiving(scene.driver.ledger) as receiver,
        scene.rig.beside(deliverer(settings), _PATIENCE),
        _begun(scene, receiver) as work,
    ):
        for number, moment_s in enumerate(moments):
            _lose_power(scene, shop, history, work, number=number, moment_s=moment_s)
        _judge_work(scene, work, receiver)
    audit: dict[str, list[str]] = {}
    for quote_id, request_id in scene.query(_EVENTS):
        audit.setdefault(str(quote_id), []).append(str(request_id))
    for violation in history.check(audit):
        scene.expect(holds=False, invariant=violation.invariant, words=violation.words)


def _lose_power(scene: Scene, shop: Shop, history: History, work: _Work, *, number: int, moment_s: float) -> None:
    """Once, in the middle of everything."""
    quotes = [shop.draft()["id"] for _ in range(2)]
    with scene.fault():
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.1)
        _put_under_way(scene, work, number)
        scene.load.post(scene.times(20, 200))
        callers = [
            threading.Thread(target=_step, args=(scene.chance.stream("caller", number, n), shop, history, quote))
            for n, quote in enumerate(quotes)
        ]
        for caller in callers:
            caller.start()
        time.sleep(moment_s)
        _make_events(scene, work)
        _note_what_is_hit(scene, work)
        scene.rig.kill_everything()
        scene.rig.mend()
        for caller in callers:
            caller.join()
        scene.load.acknowledged()


@contextmanager
def _begun(scene: Scene, receiver: Receiver) -> Iterator[_Work]:
    """A schedule of two workloads, and a webhook; both go with the block."""
    admin, label = scene.driver.person(_TENANT, Role.ADMIN), scene.questions.key()
    questions = [scene.questions.fresh() for _ in range(2)]
    for question in questions:
        key = scene.questions.key()
        scene.driver.submit(admin, key, body_of(admin, key, question) | {"labels": {"nightly": label}})
    schedule = {"name": f"{admin.canary} {label}", "cron": "0 3 * * *", "selection": {"labels": {"nightly": label}}}
    made = scene.driver.send(admin, "POST", "/v1/schedules", schedule).json()
    asked = {"name": f"power {admin.canary}", "url": receiver.url(TAKES), "events": ["run.done"]}
    hook = scene.driver.send(admin, "POST", "/v1/webhooks", asked).json()
    scene.checker.wait_until_at_rest()
    # A process remembers for a moment who listens.
    time.sleep(_MEMORY_S)
    try:
        yield _Work(known=questions[0], schedule_id=str(made["id"]), webhook_id=str(hook["id"]))
    finally:
        for path in (f"/v1/webhooks/{hook['id']}", f"/v1/schedules/{made['id']}"):
            scene.driver.send(admin, "DELETE", path, headers={"If-Match": "*"})


def _put_under_way(scene: Scene, work: _Work, number: int) -> None:
    """A batch is acknowledged, a tick has come, and the first events are on their way."""
    person = scene.driver.person(_TENANT)
    items = [{"name": f"{person.canary} {n}", "workload": scene.questions.fresh()} for n in range(_ITEMS)]
    key = scene.questions.key()
    answer = scene.driver.send(person, "POST", "/v1/batches", items, headers={"Idempotency-Key": key})
    if answer.is_success:
        work.batches[str(answer.json()["id"])] = answer.body
    _make_events(scene, work)
    work.ticks += len(scene.query(_DUE, f"{number % 60} {number // 60} * * *", work.schedule_id))


def _make_events(scene: Scene, work: _Work) -> None:
    """Runs that are done as they are made: nobody can have heard of the last of them yet."""
    for _ in range(_EVENTS_AT_ONCE):
        scene.job(work.known, tenant=_TENANT)


def _note_what_is_hit(scene: Scene, work: _Work) -> None:
    tenant_id = scene.driver.person(_TENANT).tenant_id
    (counts,) = scene.query(_UNDER_WAY, tenant_id, tenant_id, tenant_id)
    for name, count in zip(("batches", "occurrences", "events"), counts, strict=True):
        work.hit[name] += int(str(count))


def _judge_work(scene: Scene, work: _Work, receiver: Receiver) -> None:
    """Each batch that was acknowledged has ended whole, each tick has one occurrence, each event was told, the same."""
    scene.note("under way when power was lost", dict(work.hit))
    for name in ("batches", "occurrences", "events"):
        scene.expect(work.hit[name], "I1", f"power was never lost while {name} were under way")
    for batch_id in work.batches:
        _judge_batch(scene, batch_id)
    occurrences = scene.count(_OCCURRENCES, work.schedule_id)
    scene.note("batches, ticks, occurrences", [len(work.batches), work.ticks, occurrences])
    scene.expect(occurrences == work.ticks, "I2", f"{work.ticks} ticks made {occurrences} occurrences")
    told = functools.partial(_all_told, scene, work)
    scene.wait_for(told, what="every event was delivered", within_s=_DELIVERED_WITHIN_S)
    said: dict[str, set[bytes]] = defaultdict(set)
    for event in receiver.of(TAKES):
        said[event.event_id].add(event.body)
    noted = {str(event_id) for (event_id,) in scene.query(_TOLD, work.webhook_id)}
    scene.note("events received, and how often", [len(said), len(receiver.of(TAKES))])
    scene.expect(noted <= set(said), "I1", f"{len(noted - set(said))} events are told to be delivered and never came")
    changed = [event_id for event_id, bodies in said.items() if len(bodies) > 1]
    scene.expect(not changed, "I2", f"events that came again said something else: {changed[:3]}")


def _judge_batch(scene: Scene, batch_id: str) -> None:
    told: dict[str, Any] | None = scene.driver.send(
        scene.driver.person(_TENANT), "GET", f"/v1/batches/{batch_id}"
    ).json()
    scene.expect(told and told.get("status") == "done", "I1", f"batch {batch_id} was acknowledged and is {told}")
    counts = (told or {}).get("counts", {})
    ended = sum(counts.get(state, 0) for state in ("done", "infeasible"))
    scene.expect(ended == _ITEMS, "I1", f"of {_ITEMS} items of batch {batch_id}: {counts}")


def _all_told(scene: Scene, work: _Work) -> bool:
    return not scene.count(_UNTOLD, work.webhook_id)


def _step(rng: random.Random, shop: Shop, history: History, quote_id: str) -> None:
    """Two people take a quote through its life, whatever happens meanwhile."""
    for name, role, body in (
        ("submit", Role.SELLER, None),
        ("approve", Role.APPROVER, None),
        ("issue", Role.SELLER, None),
        ("accept", Role.SELLER, _ACCEPTANCE),
        ("withdraw", Role.SELLER, _REASON),
    ):

        def take(name: str = name, role: Role = role, body: object = body) -> None:
            request_id = history.request_id()
            headers = {"If-Match": "*", "X-Request-Id": request_id}
            answer = shop.call(role, "POST", f"/v1/quotes/{quote_id}/{name}", body, headers=headers)
            history.add(quote_id, request_id, answer)

        at_once([functools.partial(take)] * 2)
        time.sleep(rng.uniform(0.0, 0.3))
