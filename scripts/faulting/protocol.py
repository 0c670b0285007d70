"""The protocol: cases in a random order on one rig, everything checked after each, and what came of it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.environment import ROOT
from scripts.faulting.answer import Violation
from scripts.faulting.bounds import Held, held, not_given_back
from scripts.faulting.case import Case
from scripts.faulting.chance import Chance
from scripts.faulting.checker import Checker
from scripts.faulting.driver import Driver
from scripts.faulting.ledger import Ledger
from scripts.faulting.load import Load, Questions
from scripts.faulting.rig import running_rig
from scripts.faulting.scene import BEFORE, Profile, Scene, Seen

_WARM_JOBS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one case came to."""

    case: Case
    took_s: float
    seen: Seen
    violations: tuple[Violation, ...]


@dataclass(slots=True, kw_only=True)
class Protocol:
    """A rig with its driver, for one case after another. What one case broke for good the next ones find again."""

    scene: Scene
    outcomes: list[Outcome] = field(default_factory=list)
    known: set[Violation] = field(default_factory=set)
    # What was held before the first case: what stays of each of many must not pile up either.
    first: Held | None = None

    def run(self, chosen: Case) -> Outcome:
        """One case, and everything that does not hold afterwards and did before."""
        since_s = time.monotonic()
        self.scene.begin(chosen.number)
        self.scene.rig.wait_until_whole()
        before = held(self.scene.rig)
        self.first = self.first or before
        try:
            chosen.run(self.scene)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told as what the case came to
            self.scene.expect(holds=False, invariant="case", words=f"case {chosen.number} broke off: {error!r}")
            self.scene.rig.mend()
        self.scene.checker.wait_until_at_rest()
        self.scene.driver.hang_up()
        for words in not_given_back(self.scene.rig, before, first=self.first):
            self.scene.expect(holds=False, invariant="I7", words=words)
        found = tuple(violation for violation in self.scene.checker.check() if violation not in self.known)
        self.known.update(found)
        outcome = Outcome(case=chosen, took_s=time.monotonic() - since_s, seen=self.scene.seen, violations=found)
        self.outcomes.append(outcome)
        return outcome


@contextmanager
def protocol(
    *,
    seed: int,
    profile: Profile,
    tree: Path = ROOT,
    keep: bool = False,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Protocol]:
    """A rig of the code in a tree that has sized a few jobs already."""
    chance = Chance(seed, BEFORE)
    with running_rig(tree=tree, keep=keep, changes=changes) as rig:
        ledger = Ledger(rig.folder / "ledger.jsonl")
        driver = Driver(rig, ledger)
        load = Load(driver, Questions(chance))
        try:
            scene = Scene(
                rig=rig,
                driver=driver,
                checker=Checker(rig, driver),
                load=load,
                profile=profile,
                chance=chance,
            )
            load.post(_WARM_JOBS)
            for job in load.acknowledged():
                driver.follow(job)
            yield Protocol(scene=scene)
        finally:
            load.close()
            driver.close()
            ledger.close()
