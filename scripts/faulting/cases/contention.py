"""Case 24: transactions that the database cannot put in order, and such as wait for each other."""

import functools
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import Connection

from scripts.faulting.answer import Answer
from scripts.faulting.case import case
from scripts.faulting.driver import TENANTS
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from scripts.faulting.together import at_once
from service.access import Role

_OUT_OF_ORDER, _DEADLOCK = b"could not serialize access", b"deadlock detected"
_BLOCKED = b"SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
_WRITE: LiteralString = "UPDATE quotes SET reason = reason WHERE id = %s"
_HOLD: LiteralString = "SELECT 1 FROM quotes WHERE id = %s FOR UPDATE"
_ISOLATION = b"ALTER DATABASE headroom SET default_transaction_isolation = "
_ROUNDS = 5
_ANY = {"If-Match": "*"}


class _Seller:
    """Changes quotes of one tenant, each time to what no change said before: one that changes nothing is no version."""

    def __init__(self, scene: Scene, shop: Shop) -> None:
        self._scene = scene
        self._shop = shop
        self._numbers = itertools.count(1)

    def body(self) -> dict[str, Any]:
        """A change."""
        return self._shop.body(discount_fraction=f"0.2{next(self._numbers):09d}1")

    def put(self, quote_id: str, body: dict[str, Any]) -> Answer:
        """Make it, over whatever version is there."""
        return self._shop.call(Role.SELLER, "PUT", f"/v1/quotes/{quote_id}", body, headers=_ANY)

    def version(self, quote_id: str) -> int:
        """The quote's version."""
        return int(self._shop.call(Role.SELLER, "GET", f"/v1/quotes/{quote_id}").json()["version"])

    def drafts(self, count: int) -> list[str]:
        """Quotes that may be changed."""
        return [self._shop.draft()["id"] for _ in range(count)]

    def issued(self, count: int) -> list[str]:
        """Quotes that are out."""
        return [self._shop.issued()["id"] for _ in range(count)]

    def revise(self, quote_id: str) -> Answer:
        """The next revision of a quote that is out."""
        return self._shop.step("revise", quote_id, {})

    def change_at_once(self, quote_id: str) -> None:
        """Two changes at the same moment: both are made, one after the other, and none is lost."""
        before = self.version(quote_id)
        answers = at_once([functools.partial(self.put, quote_id, self.body()) for _ in range(2)])
        statuses = [answer.status for answer in answers]
        self._scene.expect(statuses == [200, 200], "I4", f"of two changes at once: {statuses}")
        made, versions = statuses.count(200), self.version(quote_id) - before
        self._scene.expect(versions == made, "I2", f"{made} changes of quote {quote_id} made {versions} versions")

    def revise_at_once(self, quote_id: str) -> None:
        """Of two next revisions one is made, and the other is told so."""
        statuses = sorted(answer.status or 0 for answer in at_once([functools.partial(self.revise, quote_id)] * 2))
        self._scene.expect(statuses in ([201, 409], [201, 412]), "I4", f"of two revisions at once: {statuses}")

    def deadlock(self, issued_id: str, revised_id: str) -> None:
        """A foreign session holds the later revision, waits for a change that holds the earlier one and waits for the
        later, and then wants the earlier itself: the database ends the change, which is made all the same.
        """
        with self._change_waits_for(revised_id, _HOLD, "met a deadlock") as foreign:
            foreign.execute(_HOLD, (issued_id,))
            foreign.rollback()

    def overtake(self, quote_id: str) -> None:
        """A foreign session writes the quote while a change waits for it: what the change has read is no longer so."""
        with self._change_waits_for(quote_id, _WRITE, "was overtaken") as foreign:
            foreign.execute("COMMIT")

    @contextmanager
    def _change_waits_for(self, quote_id: str, statement: LiteralString, name: str) -> Iterator[Connection]:
        """In the block a change waits for a foreign session that has done this to the quote; it is made once."""
        before = self.version(quote_id)
        with psycopg.connect(self._scene.rig.database.url) as foreign, ThreadPoolExecutor(1) as pool:
            # Whoever looks first whether it waits in a circle is the one that is ended.
            foreign.execute("SET deadlock_timeout = '60s'")
            foreign.execute(statement, (quote_id,))
            asked = pool.submit(self.put, quote_id, self.body())
            pid = foreign.info.backend_pid
            self._scene.wait_for(lambda: self._scene.count(_BLOCKED, pid), what=f"a change {name}", within_s=10)
            yield foreign
            answer = asked.result()
        self._scene.expect(answer.status == 200, "I4", f"a change that {name} was answered {answer.status}")
        versions = self.version(quote_id) - before
        self._scene.expect(versions == 1, "I2", f"a change that {name} made {versions} versions")


@case(24, "serialization failures and deadlocks")
def out_of_order(scene: Scene) -> None:
    """Sellers of two tenants change and revise at once on a database that refuses what it cannot put in order, and ends
    what waits in a circle: all is tried again unseen, nobody is told 503, and no change is lost.
    """
    sellers = [_Seller(scene, scene.shop(tenant)) for tenant in TENANTS[1:]]
    before = {words: _told(scene, words) for words in (_OUT_OF_ORDER, _DEADLOCK)}
    with _kept_in_order(scene):
        at_once([functools.partial(_contend, scene, seller) for seller in sellers])
    at_once([functools.partial(_meet_in_circles, scene, seller) for seller in sellers])
    made = len(sellers) * scene.times(1, _ROUNDS)
    for words, count in before.items():
        ended = _told(scene, words) - count
        scene.note(f"times that the database said: {words.decode()}", ended)
        scene.expect(ended >= made, "I2", f"{made} times the database was to say {words!r}, and {ended} it did")


def _contend(scene: Scene, seller: _Seller) -> None:
    drafts = seller.drafts(scene.times(2, 5))
    for quote_id in drafts:
        for _ in range(scene.times(5, 20)):
            seller.change_at_once(quote_id)
    for _ in range(scene.times(1, _ROUNDS)):
        seller.overtake(drafts[0])
    for quote_id in seller.issued(scene.times(2, 5)):
        seller.revise_at_once(quote_id)


def _meet_in_circles(scene: Scene, seller: _Seller) -> None:
    (issued_id,) = seller.issued(1)
    revised_id = seller.revise(issued_id).json()["id"]
    for _ in range(scene.times(1, _ROUNDS)):
        seller.deadlock(issued_id, revised_id)


def _told(scene: Scene, words: bytes) -> int:
    """How often the database has said so."""
    return (scene.rig.database.server.folder / "log").read_bytes().count(words)


@contextmanager
def _kept_in_order(scene: Scene) -> Iterator[None]:
    """In the block web processes work on a database that refuses to write over what a transaction has not seen."""
    scene.query(_ISOLATION + b"'repeatable read'")
    try:
        # A process looks once, when it first connects, how transactions are kept apart.
        with scene.rig.changed(scene.rig.webs, {}):
            try:
                yield
            finally:
                scene.query(_ISOLATION + b"'read committed'")
    finally:
        # Others may have connected meanwhile.
        with scene.fault():
            scene.rig.database.cut_sessions()
