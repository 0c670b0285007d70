"""When nothing fits: the changes of the question that would make something fit, each tried before it is told."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

from service.errors import InvalidRequestError
from service.sizing.rank import CAPS, inward, outward
from service.sizing.result import Limit, Shortfall, SizingResult
from service.sizing.workload import Question

Again = Callable[[Question], SizingResult]
Path = tuple[str, ...]
Changes = dict[Path, float | int | str]

_MOST_STEPS = 12
# A question is sized so often in search of advice, and no more: whoever waits has the rest of the answer already.
_MOST_SIZINGS = 30
_MOST_DOUBLINGS = 12
_MOST_HALVINGS = 8
# By how much bounds are loosened further while a fleet that meets them is larger than fleets may be.
_FURTHER = 1.25
_TTFT: Path = ("workload", "slo", "ttft_ms")
_TPOT: Path = ("workload", "slo", "tpot_ms")
_DEADLINE: Path = ("workload", "target", "deadline_days")
_NS_DAY: Path = ("workload", "ns_day")
_REPLICAS: Path = ("workload", "replicas")
_ATOMS: Path = ("workload", "atoms")
_ROOM = 0.98
_BOUNDS = (_TTFT, _TPOT, _DEADLINE)
_FIELDS: dict[Limit, Path] = {
    Limit.TTFT: _TTFT,
    Limit.TPOT: _TPOT,
    Limit.DEADLINE: _DEADLINE,
    Limit.CONFIDENCE: _DEADLINE,
    Limit.RACK_POWER: ("constraints", "max_rack_kw"),
    Limit.RACK_AIR: ("constraints", "max_rack_air_kw"),
    Limit.RACK_WEIGHT: ("constraints", "max_rack_kg"),
    Limit.FACILITY_POWER: ("constraints", "max_facility_kw"),
    Limit.RACKS: ("constraints", "max_racks"),
    Limit.BUDGET: ("constraints", "max_budget_usd"),
    Limit.TARGET_BUDGET: ("workload", "target", "budget_usd"),
}
_RACKS = (Limit.RACK_POWER, Limit.RACK_AIR, Limit.RACK_WEIGHT)
# Nobody can type more than that.
_MOST: dict[Path, float] = {
    _DEADLINE: 3650,
    ("constraints", "max_rack_kw"): 1000,
    ("constraints", "max_rack_air_kw"): 1000,
    ("constraints", "max_rack_kg"): 10_000,
    ("workload", "demand", "saturate_gpus"): 100_000,
    ("workload", "target", "gpus"): 200_000,
}
_GPUS: tuple[Path, ...] = (("workload", "target", "gpus"), ("workload", "demand", "saturate_gpus"))


def with_way_out(question: Question, found: SizingResult, *, again: Again) -> SizingResult:
    """The result with advice that was evaluated; as it is where something fits or no change of a number helps."""
    missed = found.shortfall
    if missed is None:
        return found
    once = _at_most(again)
    try:
        changes, answer = _way_out(question, missed, once)
        if answer is None:
            changes, answer = _past_racks(question, found, once)
    except _LongEnoughError:
        changes, answer = {}, None
    short = missed.limit is Limit.FLEET and missed.required > missed.best and not _fewer_gpus(question, missed)
    raised = any(path in changes and float(changes[path]) > _at(question, path) for path in _GPUS)
    missed = replace(missed, more_gpus_help=short or raised)
    if answer is not None:
        told = " and ".join(f"{'.'.join(path)} of {_shown(value)}" for path, value in changes.items())
        advice = f"with {told} {answer.options[0].server} would do"
        missed = replace(missed, relaxation=f"{advice}; {missed.relaxation}" if missed.relaxation else advice)
    elif not missed.relaxation:
        missed = replace(missed, relaxation=f"relax {missed.limit}; that alone is not enough")
    return replace(found, shortfall=missed)


class _LongEnoughError(Exception):
    """The question was sized as often as it may be."""


def _at_most(again: Again) -> Again:
    """Sizes a question so often and no more, and none twice."""
    found: dict[Question, SizingResult] = {}

    def once(question: Question) -> SizingResult:
        if question not in found:
            if len(found) >= _MOST_SIZINGS:
                raise _LongEnoughError
            found[question] = again(question)
        return found[question]

    return once


def _way_out(question: Question, missed: Shortfall, again: Again) -> tuple[Changes, SizingResult | None]:
    """Changes one after another, as each nearest miss asks, until something fits; then those that are not needed go."""
    changes: Changes = {}
    leapt = False
    for _ in range(_MOST_STEPS):
        step = _step(question, missed, changes, again)
        if not step or any(_at(question, path) is None for path in step) or _beyond(step):
            return {}, None
        changes |= step
        leapt = leapt or (missed.limit is Limit.FLEET and any(path in _BOUNDS for path in step))
        found = again(_changed(question, changes))
        if found.shortfall is None:
            changes, found = _needed(question, changes, found, again)
            return _tightened(question, changes, found, again) if leapt else (changes, found)
        missed = found.shortfall
    return {}, None


def _tightened(question: Question, changes: Changes, found: SizingResult, again: Again) -> tuple[Changes, SizingResult]:
    """A single bound that went up in leaps, halved towards what was asked for until it is near the least that does."""
    path = next(iter(changes))
    asked = _at(question, path)
    if len(changes) != 1 or path not in _BOUNDS or not isinstance(asked, int | float):
        return changes, found
    low, high = float(asked), float(changes[path])
    for _ in range(_MOST_HALVINGS):
        middle = outward((low * high) ** 0.5)
        if not low < middle < high:
            break
        try:
            answer = again(_changed(question, {path: middle}))
        except _LongEnoughError:
            break
        if answer.shortfall is None:
            high, found = middle, answer
        else:
            low = middle
    return {path: high}, found


def _past_racks(question: Question, found: SizingResult, again: Again) -> tuple[Changes, SizingResult | None]:
    """Racks that take any server, and what else those then ask for; in the end only what the one takes that would do.

    A desktop stands in no rack: it comes nearer than what the racks refuse, and may never be enough.
    """
    for limit in _RACKS:
        refused = {r.server: outward(r.required) for r in found.rejected if r.limit is limit and r.required}
        if refused and _at(question, _FIELDS[limit]) is not None:
            changes, answer = _past_rack(question, _FIELDS[limit], refused, again)
            if answer is not None:
                return changes, answer
    return {}, None


def _past_rack(
    question: Question, field: Path, refused: dict[str, float], again: Again
) -> tuple[Changes, SizingResult | None]:
    """One limit of a rack raised to what every server takes that it refused, then lowered to what one takes."""
    changes: Changes = {field: max(refused.values())}
    if _beyond(changes):
        return {}, None
    opened = _changed(question, changes)
    answer: SizingResult | None = again(opened)
    if answer is not None and answer.shortfall is not None:
        further, answer = _way_out(opened, answer.shortfall, again)
        changes |= further
    if answer is None:
        return {}, None
    least = changes | {field: refused.get(answer.options[0].server, max(refused.values()))}
    closer = again(_changed(question, least))
    return _needed(question, least, closer, again) if closer.shortfall is None else (changes, answer)


def _step(question: Question, missed: Shortfall, changes: Changes, again: Again) -> Changes:
    """What this miss asks to change; nothing where no number does."""
    less = _less_work(_changed(question, changes), missed)
    if less:
        return less
    if missed.limit not in {Limit.MEMORY, Limit.FLEET}:
        return _loosened(missed)
    fewer = _fewer_gpus(question, missed)
    if fewer:
        return fewer
    more = _more_gpus(question, again)
    return more if more or missed.limit is Limit.MEMORY else _further(_changed(question, changes))


def _further(question: Question) -> Changes:
    """Every stated bound loosened: a fleet that meets them as they stand is larger than fleets may be."""
    stated = {path: _at(question, path) for path in _BOUNDS}
    return {path: outward(value * _FURTHER) for path, value in stated.items() if value is not None}


def _loosened(missed: Shortfall) -> Changes:
    """The field of the limit at the best that was reached."""
    path = _FIELDS.get(missed.limit)
    if path is None or (missed.limit in CAPS and not missed.best > missed.required):
        return {}
    if missed.limit is Limit.RACKS:
        return {path: ceil(missed.best)}
    money = missed.limit in {Limit.BUDGET, Limit.TARGET_BUDGET}
    return {path: str(ceil(missed.best)) if money else missed.best}


def _less_work(question: Question, missed: Shortfall) -> Changes:
    """Of a simulation what its replicas reach together, or the atoms that memory holds; nothing of other work."""
    speed, atoms = _at(question, _NS_DAY), _at(question, _ATOMS)
    if missed.limit is Limit.THROUGHPUT and speed is not None:
        return {_NS_DAY: inward(missed.best * float(_at(question, _REPLICAS) or 1))}
    if missed.limit is Limit.MEMORY and atoms is not None and missed.required > missed.best:
        # What does not go with the atoms is in both figures: a little less than their ratio.
        return {_ATOMS: inward(float(atoms) * missed.best / missed.required * _ROOM)}
    return {}


def _fewer_gpus(question: Question, missed: Shortfall) -> Changes:
    """The largest fleet, where more GPUs are given than a fleet may have."""
    if missed.limit is not Limit.FLEET:
        return {}
    most = int(missed.best)
    return {path: most for path in _GPUS if (_at(question, path) or 0) > most}


def _more_gpus(question: Question, again: Again) -> Changes:
    """A given number of GPUs, doubled until something fits; nothing where none is given or it never does."""
    for path in _GPUS:
        given = _at(question, path)
        for doublings in range(1, _MOST_DOUBLINGS) if given is not None else ():
            more = given * (1 << doublings)
            if _beyond({path: more}):
                break
            if _fits(question, {path: more}, again):
                return {path: more}
    return {}


def _beyond(changes: Changes) -> bool:
    """Whether a value is more than its field takes."""
    return any(float(value) > _MOST.get(path, float("inf")) for path, value in changes.items())


def _fits(question: Question, changes: Changes, again: Again) -> bool:
    try:
        return again(_changed(question, changes)).shortfall is None
    except InvalidRequestError:
        # Not every number of GPUs divides the batch that was asked for.
        return False


def _needed(question: Question, changes: Changes, found: SizingResult, again: Again) -> tuple[Changes, SizingResult]:
    """The changes without those that something fits without."""
    for path in tuple(changes) if len(changes) > 1 else ():
        fewer = {other: value for other, value in changes.items() if other != path}
        answer = again(_changed(question, fewer)) if fewer else found
        if fewer and answer.shortfall is None:
            changes, found = fewer, answer
    return changes, found


def _at(record: Any, path: Path) -> Any:
    """What stands in a field; None where the record has no such field."""
    for name in path:
        record = getattr(record, name, None)
    return record


def _changed(question: Question, changes: Changes) -> Question:
    for path, value in changes.items():
        question = _with(question, path, value)
    return question


def _with(record: Any, path: Path, value: object) -> Any:
    name, *rest = path
    return replace(record, **{name: _with(getattr(record, name), tuple(rest), value) if rest else value})


def _shown(value: float | str) -> str:
    """As it may be typed back: money is a string."""
    return f'"{value}"' if isinstance(value, str) else f"{value:.15g}"
