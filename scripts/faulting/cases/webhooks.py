"""Case 47: those who do not want to hear."""

import functools
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from config.environment import settings_from_environment
from scripts.faulting.case import case
from scripts.faulting.cases.floods import slowest_job
from scripts.faulting.driver import TENANTS, Person
from scripts.faulting.receiver import FAILS, FAILS_FIRST, GONE, SILENT, SLOW, TAKES, Receiver, receiving
from scripts.faulting.scene import Scene
from scripts.processes import deliverer
from service.access import Role

_WEBHOOKS = "/v1/webhooks"
# Pauses and the window of a sender that gives up within the case.
_PATIENCE = {"HEADROOM_WEBHOOK_RETRY_FIRST_S": "0.5", "HEADROOM_WEBHOOK_RETRY_WINDOW_S": "20"}
_DELIVERED_WITHIN_S = 120.0
_MEMORY_S = 1.2
_THEIRS = "/takes-for-another"
# Of one webhook so many are on their way at a time.
_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook that was made, what signs its events, and who made it."""

    id: str
    secret: str
    admin: Person


@case(47, "receivers that fail, hang, dawdle and are gone")
def receivers(scene: Scene) -> None:
    """What is not taken comes again, the same each time; who takes nothing is told of; nobody else waits for them."""
    calm_s = slowest_job(scene, TENANTS[0])
    settings = settings_from_environment({**scene.rig.environ, **_PATIENCE})
    with (
        receiving(scene.driver.ledger) as receiver,
        scene.rig.beside(deliverer(settings), _PATIENCE),
        _listening(scene, receiver) as hooks,
    ):
        jobs = [job for n in range(scene.times(6, 40)) if (job := scene.job(tenant=TENANTS[n % 2])) is not None]
        scene.note(
            "slowest job without and with bad receivers [s]",
            [round(calm_s, 2), round(slowest_job(scene, TENANTS[0]), 2)],
        )
        wanted = {tenant: {job.run_id for job in jobs if job.tenant == tenant} for tenant in TENANTS[:2]}
        for path in (TAKES, FAILS_FIRST, SLOW):
            told = functools.partial(_has_told, receiver, path, wanted[TENANTS[0]])
            scene.wait_for(told, what=f"every event has come to {path}", within_s=_DELIVERED_WITHIN_S)
        theirs = functools.partial(_has_told, receiver, _THEIRS, wanted[TENANTS[1]])
        scene.wait_for(theirs, what="every event of another tenant has come", within_s=_DELIVERED_WITHIN_S)
        for path in (GONE, FAILS, SILENT):
            off = functools.partial(_is_off, scene, hooks[path])
            scene.wait_for(off, what=f"the webhook to {path} is disabled", within_s=_DELIVERED_WITHIN_S)
        _check_events(scene, receiver, hooks)
    scene.note("events received, by path", Counter(event.path for event in receiver.events))


@contextmanager
def _listening(scene: Scene, receiver: Receiver) -> Iterator[dict[str, Hook]]:
    """A webhook to each path, for the end of every run; the last one is another tenant's."""
    hooks = {}
    for path in (TAKES, FAILS_FIRST, FAILS, SILENT, SLOW, GONE, _THEIRS):
        admin = scene.driver.person(TENANTS[1] if path == _THEIRS else TENANTS[0], Role.ADMIN)
        asked = {"name": f"{path} {admin.canary}", "url": receiver.url(path), "events": ["run.done"]}
        made = scene.driver.send(admin, "POST", _WEBHOOKS, asked).json()
        hooks[path] = Hook(id=made["id"], secret=made["secret"], admin=admin)
    # A process remembers for a moment who listens.
    time.sleep(_MEMORY_S)
    try:
        yield hooks
    finally:
        for hook in hooks.values():
            scene.driver.send(hook.admin, "DELETE", f"{_WEBHOOKS}/{hook.id}", headers={"If-Match": "*"})


def _has_told(receiver: Receiver, path: str, run_ids: set[str]) -> bool:
    taken = {json.loads(event.body)["subject"]["id"] for event in receiver.of(path) if event.status == 200}
    return run_ids <= taken


def _is_off(scene: Scene, hook: Hook) -> bool:
    told = scene.driver.send(hook.admin, "GET", f"{_WEBHOOKS}/{hook.id}").json()
    return told["state"] == "disabled" and bool(told["disabled_reason"])


def _check_events(scene: Scene, receiver: Receiver, hooks: Mapping[str, Hook]) -> None:
    """An event is the same each time, is signed by its webhook, and tells nothing of another tenant."""
    bodies: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    for event in receiver.events:
        hook = hooks[event.path]
        bodies[event.path, event.event_id].add(event.body)
        signed = event.is_signed_with(hook.secret)
        scene.expect(signed, "I4", f"an event at {event.path} is not signed with the secret of its webhook")
        others = [word for name, word in scene.driver.ledger.canaries.items() if name != hook.admin.tenant]
        scene.expect(not any(word in event.body for word in others), "I3", f"an event at {event.path} tells of others")
    changed = [key for key, said in bodies.items() if len(said) > 1]
    scene.expect(not changed, "I2", f"events that came again said something else: {changed[:3]}")
    tried = Counter(event.event_id for event in receiver.of(FAILS_FIRST))
    failed = {event.event_id for event in receiver.of(FAILS_FIRST) if event.status != 200}
    scene.expect(failed and all(tried[each] > 1 for each in failed), "I1", "what was not taken did not come again")
    scene.expect(
        len(receiver.of(GONE)) <= _AT_ONCE, "I4", f"who answered 410 was called {len(receiver.of(GONE))} times"
    )
