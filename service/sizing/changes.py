"""Changes of a question: which field each limit is set by, what a field takes, and how far a change goes."""

import math
from dataclasses import replace
from typing import Any

from service.sizing.result import Limit
from service.sizing.workload import Question

Path = tuple[str, ...]
# What a field becomes; None leaves a constraint out.
Changes = dict[Path, float | int | str | None]

TTFT: Path = ("workload", "slo", "ttft_ms")
TPOT: Path = ("workload", "slo", "tpot_ms")
DEADLINE: Path = ("workload", "target", "deadline_days")
NS_DAY: Path = ("workload", "ns_day")
REPLICAS: Path = ("workload", "replicas")
ATOMS: Path = ("workload", "atoms")
BOUNDS = (TTFT, TPOT, DEADLINE)
GPUS: tuple[Path, ...] = (("workload", "target", "gpus"), ("workload", "demand", "saturate_gpus"))
FIELDS: dict[Limit, Path] = {
    Limit.TTFT: TTFT,
    Limit.TPOT: TPOT,
    Limit.DEADLINE: DEADLINE,
    Limit.CONFIDENCE: DEADLINE,
    Limit.COOLING: ("constraints", "cooling"),
    Limit.RACK_POWER: ("constraints", "max_rack_kw"),
    Limit.RACK_AIR: ("constraints", "max_rack_air_kw"),
    Limit.RACK_WEIGHT: ("constraints", "max_rack_kg"),
    Limit.FACILITY_POWER: ("constraints", "max_facility_kw"),
    Limit.RACKS: ("constraints", "max_racks"),
    Limit.BUDGET: ("constraints", "max_budget_usd"),
    Limit.TARGET_BUDGET: ("workload", "target", "budget_usd"),
}
# What of a question is changed where these refuse; every other limit is one field.
_SEVERAL: dict[Limit, tuple[Path, ...]] = {
    Limit.FLEET: (*BOUNDS, *GPUS),
    Limit.MEMORY: (*GPUS, ATOMS),
    Limit.THROUGHPUT: (NS_DAY,),
}
# Nobody can type more than that.
_MOST: dict[Path, float] = {
    DEADLINE: 3650,
    ("constraints", "max_rack_kw"): 1000,
    ("constraints", "max_rack_air_kw"): 1000,
    ("constraints", "max_rack_kg"): 10_000,
    ("workload", "demand", "saturate_gpus"): 100_000,
    ("workload", "target", "gpus"): 200_000,
}


def fields_of(limit: Limit) -> tuple[Path, ...]:
    """What a change that answers this limit may change."""
    if limit in _SEVERAL:
        return _SEVERAL[limit]
    return (FIELDS[limit],) if limit in FIELDS else ()


def at(record: Any, path: Path) -> Any:
    """What stands in a field; None where the record has no such field."""
    for name in path:
        record = getattr(record, name, None)
    return record


def changed(question: Question, changes: Changes) -> Question:
    """The question with every change."""
    for path, value in changes.items():
        question = _with(question, path, value)
    return question


def _with(record: Any, path: Path, value: object) -> Any:
    name, *rest = path
    return replace(record, **{name: _with(getattr(record, name), tuple(rest), value) if rest else value})


def beyond(changes: Changes) -> bool:
    """Whether a value is more than its field takes."""
    return any(value is not None and float(value) > _MOST.get(path, math.inf) for path, value in changes.items())


def cost(question: Question, changes: Changes) -> tuple[int, bool, float]:
    """What is asked of whoever set the limits: how many change, whether less is done, how far they go [sum of |ln|]."""
    less = any(path in changes for path in (NS_DAY, ATOMS))
    return len(changes), less, sum(_far(at(question, path), value) for path, value in changes.items())


def _far(before: Any, after: float | str | None) -> float:
    """What is left out, or was nothing, changes without measure."""
    if after is None or not float(before) or not float(after):
        return math.inf
    return abs(math.log(float(after) / float(before)))


def told(changes: Changes) -> str:
    """The changes as a sentence has them, each as it may be typed back: money is a string."""
    return " and ".join(f"{'.'.join(path)} {_shown(value)}" for path, value in changes.items())


def _shown(value: float | str | None) -> str:
    if value is None:
        return "left out"
    return f'of "{value}"' if isinstance(value, str) else f"of {value:.15g}"
