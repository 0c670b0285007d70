"""The scene of a case: the rig, the driver, a source of chance, and where what was seen is written down."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import psycopg

from scripts.faulting.chance import Chance
from scripts.faulting.checker import AT_REST_WITHIN_S, T_Q_S, Checker
from scripts.faulting.driver import TENANTS, Driver
from scripts.faulting.holdings import statements
from scripts.faulting.ledger import Job
from scripts.faulting.load import Load, Questions, body_of
from scripts.faulting.rig import Rig
from scripts.faulting.shop import Shop

_PROBED_WITHIN_S = 120.0
# Beyond the numbers of cases: what is made before them, and what a tenant sells in all of them.
BEFORE, _SHOPS = 70, 71


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
    # Why the host does not allow the case; None where it ran.
    not_run: str | None = None


@dataclass(slots=True, kw_only=True)
class Scene:
    """What a case gets. `seen` is what it leaves behind.

    `rng` is for what a case draws in its order; what it draws by the clock or in threads has streams of `chance`.
    """

    rig: Rig
    driver: Driver
    checker: Checker
    load: Load
    profile: Profile
    chance: Chance
    questions: Questions = field(init=False)
    rng: random.Random = field(init=False)
    seen: Seen = field(init=False)
    _shops: dict[str, Shop] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Of what comes before the cases."""
        self.begin(BEFORE)

    def begin(self, number: int) -> None:
        """The case of a number: it draws what it draws alone, whatever was drawn before."""
        self.chance = Chance(self.chance.seed, number)
        self.rng = self.chance.stream("case")
        self.questions = self.load.questions = Questions(self.chance)
        self.seen = Seen()

    def shop(self, tenant: str) -> Shop:
        """What a tenant sells; its run and its price book are made once."""
        if tenant not in self._shops:
            chance = Chance(self.chance.seed, _SHOPS + TENANTS.index(tenant))
            self._shops[tenant] = Shop(self.driver, Questions(chance), tenant)
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

    def wait_for(
        self, happened: Callable[[], object], *, what: str, within_s: float = AT_REST_WITHIN_S, invariant: str = "I1"
    ) -> bool:
        """Whether it happened in time; a violation where it did not."""
        since_s = time.monotonic()
        while not happened():
            if time.monotonic() - since_s > within_s:
                self.expect(holds=False, invariant=invariant, words=f"not within {within_s:g} s: {what}")
                return False
            time.sleep(0.05)
        return True

    @contextmanager
    def fault(self) -> Iterator[None]:
        """Something is broken in the block. Afterwards all is mended, and it is timed until a new job is done.

        Failures belong to it until all that was broken works again, and everything ends within T_q of its end.
        """
        self.driver.ledger.open_window()
        try:
            yield
        finally:
            lifted_s = time.monotonic()
            self.rig.mend()
            self.driver.ledger.close_window()
            self.probe()
        self.seen.faults += 1
        self.seen.recovery_s.append(time.monotonic() - lifted_s)
        self.checker.wait_until_at_rest()
        left = self.checker.open_count()
        self.expect(
            not left,
            "I1",
            f"{left} runs, batches and messages stay open after a fault: none ended for {AT_REST_WITHIN_S:g} s",
        )
        rest_s = time.monotonic() - lifted_s
        self.seen.rest_s.append(rest_s)
        # Short outages on a machine that others use tell whether all ends; how soon is told by the full profile.
        late = self.profile is Profile.FULL and rest_s > T_Q_S
        self.expect(not late, "I1", f"all had ended {rest_s:.1f} s after a fault was lifted, not within {T_Q_S:g} s")

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
