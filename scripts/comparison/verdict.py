"""Two revisions' answers beside each other: the same, changed, moved, or no longer there."""

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from scripts.comparison.revisions import Answers
from service.quoting.difference import Change, changes

_ALWAYS = frozenset({"feasible", "server"})


class Verdict(StrEnum):
    """What became of one question. `stopped` worked before and fails now; `started` is the reverse."""

    SAME = "same"
    CHANGED = "changed"
    MOVED = "moved"
    FITS_NO_MORE = "fits_no_more"
    FITS_NOW = "fits_now"
    STARTED = "started"
    STOPPED = "stopped"
    FAILS_STILL = "fails_still"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One question: what became of it, by how much at most, what differs, and why it fails where it does."""

    name: str
    verdict: Verdict
    largest_fraction: float | None = None
    changes: tuple[Change, ...] = ()
    error: str | None = None

    def told(self, most: int) -> tuple[Change, ...]:
        """What a person reads first: another server, then what differs most."""

        def rank(change: Change) -> tuple[bool, float]:
            return change.quantity not in _ALWAYS, -abs(change.change_fraction or 0.0)

        return tuple(sorted(self.changes, key=rank)[:most])

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "changes": [asdict(change) for change in self.changes]}


def judged(old: Answers, new: Answers, *, threshold_fraction: float) -> tuple[Judged, ...]:
    """Every question, those that stopped working first, then what moved furthest."""
    names = dict.fromkeys((*old.answered, *old.failed))
    found = (_judged(name, old, new, threshold_fraction) for name in names)
    return tuple(sorted(found, key=_rank))


def _judged(name: str, old: Answers, new: Answers, threshold_fraction: float) -> Judged:
    before, after = old.answered.get(name), new.answered.get(name)
    if before is None or after is None:
        if before is not None:
            return Judged(name=name, verdict=Verdict.STOPPED, error=new.failed.get(name))
        verdict = Verdict.FAILS_STILL if after is None else Verdict.STARTED
        return Judged(
            name=name, verdict=verdict, error=old.failed.get(name) if after is not None else new.failed.get(name)
        )
    differing = tuple(changes(before, after))
    if not differing:
        return Judged(name=name, verdict=Verdict.SAME)
    largest = max((abs(one.change_fraction) for one in differing if one.change_fraction is not None), default=None)
    if before["feasible"] != after["feasible"]:
        verdict = Verdict.FITS_NOW if after["feasible"] else Verdict.FITS_NO_MORE
    elif any(one.quantity in _ALWAYS for one in differing) or (largest or 0.0) > threshold_fraction:
        verdict = Verdict.MOVED
    else:
        verdict = Verdict.CHANGED
    return Judged(name=name, verdict=verdict, largest_fraction=largest, changes=differing)


def _rank(one: Judged) -> tuple[int, float, str]:
    order = (Verdict.STOPPED, Verdict.FITS_NO_MORE, Verdict.FITS_NOW, Verdict.MOVED, Verdict.STARTED, Verdict.CHANGED)
    place = order.index(one.verdict) if one.verdict in order else len(order)
    return place, -(one.largest_fraction or 0.0), one.name


def counted(found: tuple[Judged, ...]) -> dict[str, int]:
    """How many questions came to each verdict."""
    counts = Counter(one.verdict.value for one in found)
    return {verdict.value: counts[verdict.value] for verdict in Verdict}
