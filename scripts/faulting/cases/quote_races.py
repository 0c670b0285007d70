"""Case 32: steps of one quote, taken at the same moment."""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from scripts.faulting.answer import Answer
from scripts.faulting.case import case
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from scripts.faulting.together import at_once
from service.access import Role

_REASON = {"reason": "because"}
_ACCEPTANCE = {"accepted_by": "somebody"}
_ANSWERS = {200, 201, 409, 412}
# Where each step leads; the audit tells from where to where.
_LEGAL = {
    "draft": {"draft", "pending_approval", "withdrawn"},
    "pending_approval": {"approved", "draft", "withdrawn"},
    "approved": {"issued", "draft", "withdrawn"},
    "issued": {"accepted", "declined", "withdrawn", "expired", "superseded"},
}
_PATH = b"""SELECT substring(old_state from ': ([a-z_]+)'), substring(new_state from ': ([a-z_]+)'),
    substring(new_state from 'version ([0-9]+)')::int FROM audit_events WHERE resource_id = %s ORDER BY 3"""
_LATE = b"SELECT id FROM quotes WHERE id = %s AND state = 'accepted' AND closed_at >= expires_at"
_Step = Callable[[], Answer | None]


@case(32, "steps of one quote raced", quick=True)
def raced_steps(scene: Scene) -> None:
    """What is written is approved, rejected, changed and withdrawn at the same moment; what is out is accepted,
    declined, withdrawn, revised, expired, and superseded by its next revision: one legal path, as the audit tells it.
    """
    shop = scene.shop("cyan")
    taken: Counter[str] = Counter()
    races = (_of_pending, _of_issued, _of_two_revisions)
    for n in range(scene.times(9, 201)):
        for quote_id in races[n % len(races)](scene, shop):
            state = shop.call(Role.SELLER, "GET", f"/v1/quotes/{quote_id}").json()["state"]
            taken[state] += 1
            _check_path(scene, quote_id, state)
    _check_damage(scene, shop)
    scene.note("raced quotes ended as", dict(taken))


def _step(shop: Shop, name: str, quote_id: str, body: Any = None, *, role: Role | None = None) -> _Step:
    return functools.partial(shop.step, name, quote_id, body, role=role)


def _at_once(scene: Scene, words: str, steps: Sequence[_Step]) -> list[int | None]:
    shuffled = scene.rng.sample(steps, len(steps))
    statuses = [answer.status for answer in at_once(shuffled) if answer is not None]
    scene.expect(set(statuses) <= _ANSWERS, "I4", f"raced steps of {words} were answered {statuses}")
    return statuses


def _of_pending(scene: Scene, shop: Shop) -> list[str]:
    """What waits for approval."""
    quote_id = shop.draft()["id"]
    shop.step("submit", quote_id)
    change = functools.partial(
        shop.call, Role.SELLER, "PUT", f"/v1/quotes/{quote_id}", shop.body(), headers={"If-Match": "*"}
    )
    _at_once(
        scene,
        f"pending quote {quote_id}",
        [
            _step(shop, "approve", quote_id),
            _step(shop, "approve", quote_id, role=Role.ADMIN),
            _step(shop, "reject", quote_id, _REASON),
            _step(shop, "withdraw", quote_id, _REASON),
            _step(shop, "issue", quote_id),
            change,
        ],
    )
    return [quote_id]


def _of_issued(scene: Scene, shop: Shop) -> list[str]:
    """What is out, perhaps at the end of its validity."""
    quote_id = shop.issued()["id"]
    steps: list[_Step] = [
        _step(shop, "accept", quote_id, _ACCEPTANCE),
        _step(shop, "decline", quote_id, _REASON),
        _step(shop, "withdraw", quote_id, _REASON),
        functools.partial(_revise, shop, quote_id),
        *([functools.partial(_expire, scene, quote_id)] if scene.rng.random() < 0.5 else []),
    ]
    _at_once(scene, f"issued quote {quote_id}", steps)
    shop.read(quote_id)
    return [quote_id]


def _revise(shop: Shop, quote_id: str) -> Answer:
    return shop.call(Role.SELLER, "POST", f"/v1/quotes/{quote_id}/revise", {}, headers={"If-Match": "*"})


def _of_two_revisions(scene: Scene, shop: Shop) -> list[str]:
    """One is out and the next one approved: accepted, or superseded; never both."""
    first = shop.issued()["id"]
    second = _revise(shop, first).json()["id"]
    for name in ("submit", "approve"):
        shop.step(name, second)
    issue, accept = _step(shop, "issue", second), _step(shop, "accept", first, _ACCEPTANCE)
    _at_once(scene, f"two revisions, the first of them {first}", [issue, issue, accept])
    found = [shop.call(Role.SELLER, "GET", f"/v1/quotes/{each}").json()["state"] for each in (first, second)]
    is_one = found in (["accepted", "approved"], ["superseded", "issued"])
    scene.expect(is_one, "I6", f"of a revision that is accepted and the next one that is issued came {found}")
    late = shop.step("accept", first, _ACCEPTANCE).status
    scene.expect(late == 409, "I6", f"a quote that is {found[0]} was accepted after that: {late}")
    shop.read(first)
    return [first, second]


def _expire(scene: Scene, quote_id: str) -> None:
    """Its validity has just ended, unless somebody has accepted it by now.

    now() is when the statement began: one that waited for an acceptance would put the end before it.
    """
    scene.query(b"UPDATE quotes SET expires_at = now() WHERE id = %s AND state = 'issued'", quote_id)


def _check_path(scene: Scene, quote_id: str, state: str) -> None:
    """Each step begins where the last one ended, leads where it may, and the last one is what is told."""
    rows = scene.query(_PATH, quote_id)
    path = [(old, str(new)) for old, new, _ in rows]
    scene.expect([row[2] for row in rows] == list(range(1, len(rows) + 1)), "I9", f"quote {quote_id} has gaps: {path}")
    for (_, before), (old, new) in itertools.pairwise(path):
        is_legal = before == old and new in _LEGAL.get(str(old), ())
        scene.expect(is_legal, "I9", f"quote {quote_id} came by {path}")
    ends = path[0][0] is None and path[-1][1] == state
    scene.expect(ends, "I9", f"quote {quote_id} is {state}, and its audit tells {path}")
    scene.expect(not scene.query(_LATE, quote_id), "I6", f"quote {quote_id} was accepted after its validity had ended")


def _check_damage(scene: Scene, shop: Shop) -> None:
    """What somebody changed behind the service's back is never told as what was issued."""
    quote = shop.issued()
    (told,) = scene.query(b"SELECT snapshot FROM quotes WHERE id = %s", quote["id"])[0]
    change = b"UPDATE quotes SET snapshot = %s WHERE id = %s"
    scene.query(change, str(told).replace('"extended_net":"', '"extended_net":"1'), quote["id"])
    with scene.driver.ledger.expecting(500):
        answer = shop.call(Role.SELLER, "GET", f"/v1/quotes/{quote['id']}.json")
    scene.expect(not answer.is_success, "I6", f"quote {quote['id']} was changed in the database, and told as issued")
    scene.query(change, told, quote["id"])
