"""An answer beside the former one to the same workload: what differs, why, and whether that is beyond the threshold."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from service.quoting.difference import CauseKind, Change, Value, changes
from service.store.tables.schedules import Outcome

# By what a plan is judged; each is compared as a share of what it was.
_SHARES = ("servers", "gpus", "facility_power_kw", "cost.total_usd")
_CONFIDENCE = "confidence_fraction"
# Whatever the threshold: it fits no more, or again, or on something else.
_ALWAYS = ("feasible", "server")
_VERSIONS = {
    CauseKind.CATALOG: "catalog_version",
    CauseKind.CALIBRATION: "calibration_version",
    CauseKind.PRICE_BOOK: "price_book_digest",
    CauseKind.ENGINE: "engine_version",
}
_MOST_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What became of one answer. `moved_fraction` is the largest share by which a quantity differs, None for none."""

    outcome: Outcome
    causes: tuple[CauseKind, ...] = ()
    changes: tuple[Change, ...] = ()
    moved_fraction: float | None = None
    old: Mapping[str, Value] = field(default_factory=dict)
    new: Mapping[str, Value] = field(default_factory=dict)

    def at_rest(self) -> str | None:
        """Causes and changes as JSON; None where nothing differs."""
        if not self.changes:
            return None
        return orjson.dumps({"causes": list(self.causes), "changes": [_told(one) for one in self.changes]}).decode()


def _told(change: Change) -> dict[str, Any]:
    old, new = (format(value, "f") if isinstance(value, Decimal) else value for value in (change.old, change.new))
    return {"quantity": change.quantity, "old": old, "new": new, "change_fraction": change.change_fraction}


def compared(old: str | bytes, new: str | bytes, *, reworded: bool, threshold_fraction: float) -> Compared:
    """The new answer beside the old one, either as a run or as a batch keeps it.

    `reworded`: the workload was changed between the two.
    """
    before, after = orjson.loads(old), orjson.loads(new)
    was, now = _quantities(before), _quantities(after)
    differing = tuple(changes(was, now))
    if not differing:
        return Compared(outcome=Outcome.UNCHANGED, old=was, new=now)
    causes = [kind for kind, name in _VERSIONS.items() if before.get(name) != after.get(name)]
    share = _largest_share(differing)
    beyond = any(one.quantity in _ALWAYS for one in differing) or (share or 0.0) > threshold_fraction
    return Compared(
        outcome=Outcome.MOVED if beyond else Outcome.CHANGED,
        causes=(*([CauseKind.WORKLOAD] if reworded else []), *causes),
        changes=differing,
        moved_fraction=share,
        old=was,
        new=now,
    )


def _quantities(answer: Mapping[str, Any]) -> dict[str, Value]:
    """What is compared of an answer: a run has its options ranked, a batch keeps the first of them."""
    ranked = answer.get("options")
    option = answer.get("option") if ranked is None else next(iter(ranked), None)
    found: dict[str, Value] = {"feasible": option is not None}
    if option is None:
        return found
    total = (option.get("cost") or {}).get("total_usd")
    return found | {
        **{name: option.get(name) for name in ("server", "servers", "gpus", _CONFIDENCE)},
        "facility_power_kw": (option.get("facility") or {}).get("facility_power_kw"),
        "cost.total_usd": None if total is None else Decimal(total),
    }


def _largest_share(differing: tuple[Change, ...]) -> float | None:
    shares = [
        abs(one.change_fraction) for one in differing if one.quantity in _SHARES and one.change_fraction is not None
    ]
    shares += [
        round(abs(one.new - one.old), 6)
        for one in differing
        if one.quantity == _CONFIDENCE and one.old is not None and one.new is not None
    ]
    return max(shares, default=None)


@dataclass(slots=True)
class Summary:
    """What the workloads of an occurrence come to, added up as they are compared."""

    outcomes: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    fits_no_more: int = 0
    fits_now: int = 0
    totals: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    largest: list[dict[str, Any]] = field(default_factory=list)

    def add(self, one: Compared, *, line: int, workload_id: str, name: str | None) -> None:
        """One more workload."""
        self.outcomes[one.outcome.value] += 1
        self.causes.update(cause.value for cause in one.causes)
        fitted, fits = one.old.get("feasible"), one.new.get("feasible")
        self.fits_no_more += fitted is True and fits is False
        self.fits_now += fitted is False and fits is True
        for quantity in _SHARES:
            old, new = one.old.get(quantity), one.new.get(quantity)
            if old is not None and new is not None:
                was, now = self.totals.get(quantity, (Decimal(0), Decimal(0)))
                self.totals[quantity] = (was + Decimal(str(old)), now + Decimal(str(new)))
        if one.outcome is Outcome.MOVED:
            told = [_told(change) for change in one.changes]
            place = {"line": line, "workload_id": workload_id, "name": name, "moved_fraction": one.moved_fraction}
            self.largest = sorted([*self.largest, {**place, "changes": told}], key=_rank)[:_MOST_TOLD]

    def at_rest(self) -> str:
        """As JSON, as OccurrenceSummarySchema describes it."""
        written = {
            "outcomes": {outcome.value: self.outcomes[outcome.value] for outcome in Outcome},
            "causes": {cause.value: self.causes[cause.value] for cause in (CauseKind.WORKLOAD, *_VERSIONS)},
            "fits_no_more": self.fits_no_more,
            "fits_now": self.fits_now,
            "totals": [
                {"quantity": quantity, "old": format(old, "f"), "new": format(new, "f")}
                for quantity, (old, new) in self.totals.items()
            ],
            "largest": self.largest,
        }
        return orjson.dumps(written).decode()


def summary_of(kept: str | None) -> Summary:
    """A summary as it is kept; an empty one where there is none."""
    if kept is None:
        return Summary()
    read = orjson.loads(kept)
    return Summary(
        outcomes=Counter(read["outcomes"]),
        causes=Counter(read["causes"]),
        fits_no_more=read["fits_no_more"],
        fits_now=read["fits_now"],
        totals={one["quantity"]: (Decimal(one["old"]), Decimal(one["new"])) for one in read["totals"]},
        largest=read["largest"],
    )


def counted(kept: str | None) -> dict[str, Any]:
    """Of a summary what may leave the installation: counts, and nothing that a customer asks or pays."""
    if kept is None:
        return {}
    read = orjson.loads(kept)
    return {name: read[name] for name in ("outcomes", "causes", "fits_no_more", "fits_now")}


def _rank(moved: Mapping[str, Any]) -> tuple[int, float, int]:
    """What fits no more comes first, then what fits again, then the largest share."""
    fits = [change["new"] for change in moved["changes"] if change["quantity"] == "feasible"]
    place = 2 if not fits else 1 if fits[0] else 0
    return place, -(moved["moved_fraction"] or 0.0), moved["line"]
