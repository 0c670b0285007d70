"""The scene of a case: the rig, the driver, a source of chance, and where what was seen is written down."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import psycopg

from scripts.faulting.checker import AT_REST_WITHIN_S, Checker
from scripts.faulting.driver import TENANTS, Driver
from scripts.faulting.holdings import statements
from scripts.faulting.ledger import Job
from scripts.faulting.load import Load, Questions, body_of
from scripts.faulting.rig import Rig
from scripts.faulting.shop import Shop

_PROBED_WITHIN_S = 120.0


class Profile(StrEnum):
    """How long a case takes: short outages and few rounds, or all of it."""

    QUICK = "quick"
    FULL = "full"


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a case came to: how often it did its worst, how long until all was well again, and what it counted."""

    faults: int = 0
    recovery_s: list[float] = field(default_factory=list)
    rest_s: list[float] = field(default_factory=list)
    bad_inputs: int = 0
    notes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Scene:
    """What a case gets. `seen` is what it leaves behind."""

    rig: Rig
    driver: Driver
    checker: Checker
    questions: Questions
    load: Load
    profile: Profile
    rng: random.Random
    seen: Seen = field(default_factory=Seen)
    _shops: dict[str, Shop] = field(default_factory=dict)

    def shop(self, tenant: str) -> Shop:
        """What a tenant sells; its run and its price book are made once."""
        if tenant not in self._shops:
            self._shops[tenant] = Shop(self.driver, self.questions, tenant)
        return self._shops[tenant]

    def times(self, quick: int, full: int) -> int:
        """How often, or how many."""
        return quick if self.profile is Profile.QUICK else full

    def seconds(self, quick: float, full: float) -> float:
        """How long."""
        return quick if self.profile is Profile.QUICK else full

    def expect(self, holds: object, invariant: str, words: str) -> None:
        """A violation unless it holds."""
        if not holds:
            self.driver.ledger.violate(invariant, words)

    def note(self, name: str, value: object) -> None:
        """A figure for the report."""
        self.seen.notes[name] = value

    def wait_for(self, happened: Callable[[], object], *, what: str, within_s: float = AT_REST_WITHIN_S) -> bool:
        """Whether it happened in time; a violation of I1 where it did not."""
        since_s = time.monotonic()
        while not happened():
            if time.monotonic() - since_s > within_s:
                self.expect(holds=False, invariant="I1", words=f"not within {within_s:g} s: {what}")
                return False
            time.sleep(0.05)
        return True

    @contextmanager
    def fault(self) -> Iterator[None]:
        """Something is broken in the block. Afterwards all is mended, and it is timed until a new job is done."""
        ledger = self.driver.ledger
        ledger.in_window = True
        try:
            yield
        finally:
            lifted_s = time.monotonic()
            self.rig.mend()
            self.probe()
            ledger.in_window = False
        self.seen.faults += 1
        self.seen.recovery_s.append(time.monotonic() - lifted_s)
        self.checker.wait_until_at_rest()
        left = self.checker.open_count()
        self.expect(
            not left,
            "I1",
            f"{left} runs, batches and messages stay open after a fault: none ended for {AT_REST_WITHIN_S:g} s",
        )
        self.seen.rest_s.append(time.monotonic() - lifted_s)

    def job(self, question: dict[str, object] | None = None, *, tenant: str = TENANTS[0]) -> Job | None:
        """One job of a tenant, under a key of its own; None where it was refused, or not acknowledged in time."""
        person, key = self.driver.person(tenant), self.questions.key()
        asked = question or self.questions.fresh()
        return self.driver.submit(person, key, body_of(person, key, asked))

    def probe(self) -> None:
        """A new job is done."""
        job = self.job()
        # It waits behind whatever the fault has held up.
        ended = job and self.driver.follow(job, within_s=_PROBED_WITHIN_S)
        self.expect(ended in {"done", "failed"}, "I1", f"a job posted after the fault was lifted is {ended}")

    def query(self, statement: bytes, *values: object) -> list[tuple[object, ...]]:
        """Rows of the database, past the proxy."""
        with psycopg.connect(self.rig.database.url, autocommit=True) as connection:
            found = connection.execute(statement, values)
            return found.fetchall() if found.description else []

    def holdings(self, tenant: str) -> dict[str, str]:
        """Everything that a tenant has in the database, by table: how many rows, and their digest."""
        values = {"tenant": self.driver.person(tenant).tenant_id}
        with psycopg.connect(self.rig.database.url, autocommit=True) as connection:
            return {
                name: str(each[0])
                for name, statement in statements()
                for each in connection.execute(statement, values).fetchall()
            }

    def count(self, statement: bytes, *values: object) -> int:
        """The number that a statement selects."""
        return int(str(self.query(statement, *values)[0][0]))
