"""When nothing fits: the changes of the question that would make something fit, each tried before it is told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil

from service.errors import InvalidRequestError
from service.sizing.changes import (
    ATOMS,
    BOUNDS,
    FIELDS,
    GPUS,
    NS_DAY,
    REPLICAS,
    Changes,
    Path,
    at,
    beyond,
    changed,
    cost,
    fields_of,
    told,
)
from service.sizing.rank import CAPS, inward, outward, shortfall
from service.sizing.result import Limit, Shortfall, SizingResult
from service.sizing.workload import Question

Again = Callable[[Question], SizingResult]
Way = tuple[Changes, SizingResult]

_MOST_STEPS = 12
# A question is sized so often in search of advice, and no more: whoever waits has the rest of the answer already.
_MOST_SIZINGS = 30
_MOST_DOUBLINGS = 12
_MOST_HALVINGS = 8
# By how much bounds are loosened further while a fleet that meets them is larger than fleets may be.
_FURTHER = 1.25
_ROOM = 0.98
_SERVERS_RACK = (1, 2, 4, 8)
_RACKS = (Limit.RACK_POWER, Limit.RACK_AIR, Limit.RACK_WEIGHT)
# What the site and the purse allow beside what a rack does.
_SITE = (Limit.COOLING, Limit.FACILITY_POWER, Limit.RACKS, Limit.BUDGET, Limit.TARGET_BUDGET)


def with_way_out(question: Question, found: SizingResult, *, again: Again) -> SizingResult:
    """The result with advice that was evaluated; as it is where something fits or no change of a number helps.

    Of all ways the one that changes least is told, and the limit that it lifts is the one that binds.
    """
    missed = found.shortfall
    if missed is None:
        return found
    once = _at_most(again)
    ways = list(_ways(question, found, missed, once))
    changes: Changes = {}
    if ways:
        changes, answer = min(ways, key=lambda way: cost(question, way[0]))
        missed = _reached(_lifted(found, missed, changes, answer), changes)
        advice = f"with {told(changes)} {answer.options[0].server} would do"
        missed = replace(missed, relaxation=f"{advice}; {missed.relaxation}" if missed.relaxation else advice)
    else:
        missed = _past_all_racks(question, found, missed, once)
        if not missed.relaxation:
            missed = replace(missed, relaxation=f"relax {missed.limit}; that alone is not enough")
    short = missed.limit is Limit.FLEET and missed.required > missed.best and not _fewer_gpus(question, missed)
    raised = any(float(changes[path] or 0) > at(question, path) for path in GPUS if path in changes)
    return replace(found, shortfall=replace(missed, more_gpus_help=short or raised))


def _ways(question: Question, found: SizingResult, missed: Shortfall, again: Again) -> Iterator[Way]:
    """What would make something fit: past each limit of the site that refuses something, and past the nearest miss.

    Limits of the site go first: a desktop stands in no rack, and comes nearer than all that the site refuses.
    """
    try:
        yield from _past_racks(question, found, again)
        for limit in _SITE:
            own = tuple(one for one in found.rejected if one.limit is limit)
            nearest = shortfall(own, {}) if at(question, FIELDS[limit]) is not None else None
            if nearest is not None and limit is not missed.limit:
                yield from _way_out(question, nearest, again)
        yield from _way_out(question, missed, again)
    except _LongEnoughError:
        return


def _lifted(found: SizingResult, missed: Shortfall, changes: Changes, answer: SizingResult) -> Shortfall:
    """The miss that the changes lift: the nearest one, or where it asks for something else that of what would do."""
    if FIELDS.get(missed.limit) in changes:
        return missed
    asked = any(path in changes for path in fields_of(missed.limit))
    would_do = answer.options[0].server
    for path in changes:
        # Of what has no price nobody knows how far off it is.
        own = tuple(r for r in found.rejected if FIELDS.get(r.limit) == path and (r.required or changes[path] is None))
        chosen = tuple(one for one in own if one.server == would_do)
        lifted = shortfall(chosen or (() if asked else own), {})
        if lifted is not None:
            return lifted
    return missed


def _reached(missed: Shortfall, changes: Changes) -> Shortfall:
    """The miss with the figure that the advice has for it: a cap goes up to what, with all else changed, would do."""
    path = FIELDS.get(missed.limit)
    value = changes.get(path) if path is not None else None
    if missed.limit not in CAPS or value is None or not missed.required:
        return missed
    best = float(value)
    return replace(missed, best=best, distance_fraction=abs(best - missed.required) / missed.required)


def _past_all_racks(question: Question, found: SizingResult, missed: Shortfall, again: Again) -> Shortfall:
    """The nearest miss where racks take every server: what none of them would cure is no matter of racks."""
    try:
        _, opened = _opened(question, found, again)
    except _LongEnoughError:
        return missed
    return opened.shortfall or missed


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


def _way_out(question: Question, missed: Shortfall, again: Again) -> Iterator[Way]:
    """Changes one after another, as each nearest miss asks, until something fits; then those that are not needed go."""
    changes: Changes = {}
    leapt = False
    for _ in range(_MOST_STEPS):
        step = _step(question, missed, changes, again)
        if not step or any(at(question, path) is None for path in step) or beyond(step):
            return
        changes |= step
        leapt = leapt or (missed.limit is Limit.FLEET and any(path in BOUNDS for path in step))
        found = again(changed(question, changes))
        if found.shortfall is None:
            way = _needed(question, changes, found, again)
            yield _tightened(question, way, again) if leapt else way
            return
        missed = found.shortfall


def _tightened(question: Question, way: Way, again: Again) -> Way:
    """A single bound that went up in leaps, halved towards what was asked for until it is near the least that does."""
    changes, found = way
    path, *others = changes
    asked, reached = at(question, path), changes[path]
    if others or path not in BOUNDS or not isinstance(asked, int | float) or not isinstance(reached, int | float):
        return way
    low, high = float(asked), float(reached)
    for _ in range(_MOST_HALVINGS):
        middle = outward((low * high) ** 0.5)
        if not low < middle < high:
            break
        try:
            answer = again(changed(question, {path: middle}))
        except _LongEnoughError:
            break
        if answer.shortfall is None:
            high, found = middle, answer
        else:
            low = middle
    return {path: high}, found


def _past_racks(question: Question, found: SizingResult, again: Again) -> Iterator[Way]:
    """Racks that take any server, and what else those then ask for; in the end what the one takes that would do."""
    opened, answer = _opened(question, found, again)
    racks: Changes = {path: max(taken.values()) for path, taken in opened.items()}
    if not racks or beyond(racks):
        return
    ways: list[Way] = [(racks, answer)]
    if answer.shortfall is not None:
        further = _way_out(changed(question, racks), answer.shortfall, again)
        ways = [(racks | more, fits) for more, fits in further]
    for changes, fits in ways:
        yield _lowered(question, changes, fits, again, opened=opened)


def _lowered(
    question: Question, changes: Changes, fits: SizingResult, again: Again, *, opened: dict[Path, dict[str, float]]
) -> Way:
    """Racks that take one of the servers that would do, or two, four ... of them where a row may not be longer."""
    chosen = fits.options[0].server
    for each in _SERVERS_RACK:
        least = {path: outward(taken[chosen] * each) for path, taken in opened.items() if chosen in taken}
        if any(value > float(changes[path] or 0) for path, value in least.items()):
            break
        tried = least | {path: value for path, value in changes.items() if path not in opened}
        try:
            closer = again(changed(question, tried))
        except _LongEnoughError:
            break
        if closer.shortfall is None:
            return _needed(question, tried, closer, again)
    return changes, fits


def _opened(question: Question, found: SizingResult, again: Again) -> tuple[dict[Path, dict[str, float]], SizingResult]:
    """Of each limit of a rack what every server takes that it refuses, and the answer where racks take them all."""
    opened: dict[Path, dict[str, float]] = {}
    for limit in _RACKS:
        taken = {r.server: outward(r.required) for r in found.rejected if r.limit is limit and r.required}
        if taken and at(question, FIELDS[limit]) is not None:
            opened[FIELDS[limit]] = taken
            found = again(changed(question, {path: max(some.values()) for path, some in opened.items()}))
    return opened, found


def _step(question: Question, missed: Shortfall, changes: Changes, again: Again) -> Changes:
    """What this miss asks to change; nothing where no number does."""
    less = _less_work(changed(question, changes), missed)
    if less:
        return less
    if missed.limit not in {Limit.MEMORY, Limit.FLEET}:
        return _loosened(missed)
    fewer = _fewer_gpus(question, missed)
    if fewer:
        return fewer
    more = _more_gpus(question, again)
    return more if more or missed.limit is Limit.MEMORY else _further(changed(question, changes))


def _further(question: Question) -> Changes:
    """Every stated bound loosened: a fleet that meets them as they stand is larger than fleets may be."""
    stated = {path: at(question, path) for path in BOUNDS}
    return {path: outward(value * _FURTHER) for path, value in stated.items() if value is not None}


def _loosened(missed: Shortfall) -> Changes:
    """The field of the limit at the best that was reached."""
    path = FIELDS.get(missed.limit)
    if missed.limit is Limit.COOLING:
        return {FIELDS[missed.limit]: None}
    if path is None or (missed.limit in CAPS and not missed.best > missed.required):
        return {}
    if missed.limit is Limit.RACKS:
        return {path: ceil(missed.best)}
    money = missed.limit in {Limit.BUDGET, Limit.TARGET_BUDGET}
    return {path: str(ceil(missed.best)) if money else missed.best}


def _less_work(question: Question, missed: Shortfall) -> Changes:
    """Of a simulation what its replicas reach together, or the atoms that memory holds; nothing of other work."""
    speed, atoms = at(question, NS_DAY), at(question, ATOMS)
    if missed.limit is Limit.THROUGHPUT and speed is not None:
        return {NS_DAY: inward(missed.best * float(at(question, REPLICAS) or 1))}
    if missed.limit is Limit.MEMORY and atoms is not None and missed.required > missed.best:
        # What does not go with the atoms is in both figures: a little less than their ratio.
        return {ATOMS: inward(float(atoms) * missed.best / missed.required * _ROOM)}
    return {}


def _fewer_gpus(question: Question, missed: Shortfall) -> Changes:
    """The largest fleet, where more GPUs are given than a fleet may have."""
    if missed.limit is not Limit.FLEET:
        return {}
    most = int(missed.best)
    return {path: most for path in GPUS if (at(question, path) or 0) > most}


def _more_gpus(question: Question, again: Again) -> Changes:
    """A given number of GPUs, doubled until something fits; nothing where none is given or it never does."""
    for path in GPUS:
        given = at(question, path)
        for doublings in range(1, _MOST_DOUBLINGS) if given is not None else ():
            more = given * (1 << doublings)
            if beyond({path: more}):
                break
            if _fits(question, {path: more}, again):
                return {path: more}
    return {}


def _fits(question: Question, changes: Changes, again: Again) -> bool:
    try:
        return again(changed(question, changes)).shortfall is None
    except InvalidRequestError:
        # Not every number of GPUs divides the batch that was asked for.
        return False


def _needed(question: Question, changes: Changes, found: SizingResult, again: Again) -> Way:
    """The changes without those that something fits without."""
    for path in tuple(changes) if len(changes) > 1 else ():
        fewer = {other: value for other, value in changes.items() if other != path}
        try:
            answer = again(changed(question, fewer)) if fewer else found
        except _LongEnoughError:
            break
        if fewer and answer.shortfall is None:
            changes, found = fewer, answer
    return changes, found
