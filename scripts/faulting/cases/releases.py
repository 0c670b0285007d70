"""Cases G: what changes under the service, and the loss of everything at once."""

import functools
import threading
import time

from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.register import History
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from scripts.faulting.together import at_once
from service.access import Role

_EVENTS = b"""SELECT resource_id, request_id FROM audit_events WHERE resource_kind = 'quote'
    ORDER BY resource_id, substring(new_state from 'version ([0-9]+)')::int"""
_REASON = {"reason": "because"}
_ACCEPTANCE = {"accepted_by": "somebody"}


@case(56, "loss of power: everything killed at once and started again", quick=True)
def power_loss(scene: Scene) -> None:
    """At random points under load; what was acknowledged is there, and quotes have one history."""
    history = History()
    shop = Shop(scene.driver, scene.questions, "acme")
    for _ in range(scene.times(3, 30)):
        quotes = [shop.draft()["id"] for _ in range(2)]
        with scene.fault():
            scene.rig.failpoints.set(Trait.SLOW, seconds=0.1)
            scene.load.post(scene.times(20, 200))
            callers = [threading.Thread(target=_step, args=(scene, shop, history, quote)) for quote in quotes]
            for caller in callers:
                caller.start()
            time.sleep(scene.rng.uniform(0.2, 1.2))
            scene.rig.kill_everything()
            scene.rig.mend()
            for caller in callers:
                caller.join()
            scene.load.acknowledged()
    audit: dict[str, list[str]] = {}
    for quote_id, request_id in scene.query(_EVENTS):
        audit.setdefault(str(quote_id), []).append(str(request_id))
    for violation in history.check(audit):
        scene.expect(holds=False, invariant=violation.invariant, words=violation.words)


def _step(scene: Scene, shop: Shop, history: History, quote_id: str) -> None:
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
        time.sleep(scene.rng.uniform(0.0, 0.3))
