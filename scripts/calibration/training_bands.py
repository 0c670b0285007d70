"""Residuals of fitted trainings -> bands: how far measured steps and peaks of memory lie from what is predicted."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from scripts.calibration.training_memory import MemoryRun
from scripts.calibration.training_runs import TrainingPlace
from service.sizing.calibration import ANY_SCOPE
from service.sizing.table import FloatArray

STEP, MEMORY = "training.step_time_s", "training.peak_memory_gb"
FOLDS = ("source", "model", "gpu")
ROLLOUTS, ADAPTERS = "grpo", "adapter"
REGIMES = ("dense", "moe", ADAPTERS, ROLLOUTS)
# Stacks as frameworks bring them have a band of their own, whatever they train.
PLAIN = "plain"
BANDS = (*REGIMES, PLAIN)
# How far the runs of a source share its weight: where the next is a stack of its own, or of a kind that nobody has
# measured, it may be like any of them.
_SOURCE_POWER = {PLAIN: 1.0, ANY_SCOPE: 1.0}
# Of peaks of memory, which have one band for all stacks.
_PEAK_POWER = 0.5
# Fewer errors than this make no band of their own.
_LEAST_POINTS = 20
# From fewer sources, models or GPUs that were left out nothing is learnt of how far the next lies.
_LEAST_LEFT_OUT = 4
# From so many sources on an interval may be longer on one side.
_SEVERAL_SOURCES = 4
# The share of errors of what was left out that an interval must hold without having seen them.
_HELD = 0.8
# Choices in the formulas of memory that were made with the measured peaks in view.
JUDGED = (
    "norms and activations of tuning in 16 bit are not fused",
    "tools that shard load whole weights",
    "adapters keep gathered inputs",
    "the share that selective recompute makes again",
    "the longest example of tuning",
)
# Fewer peaks than this are not left out: what remains is nearly all.
_LEAST_PEAKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingError:
    """ln(predicted / measured) of one metric of one run, in the fit itself or in one way of leaving runs out."""

    place: TrainingPlace
    metric: str
    fold: str
    log_error: float
    # By what the interval of a run that states less than others is stretched.
    widening: float = 1.0
    # Whether the interval of the runs that were kept holds it; None is judged by the interval of all.
    inside: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Quantiles of ln(measured / predicted) over the folds."""

    metric: str
    regime: str
    low: float
    middle: float
    high: float
    many: int


def bands_of(errors: Sequence[TrainingError], peaks: Sequence[MemoryRun]) -> Iterator[Band]:
    """Every metric in every regime that has enough points, and over all regimes but those that stand apart."""
    left_out = _left_out(errors)
    reach = _reach(left_out, _told(left_out))
    for name in (*BANDS, ANY_SCOPE):
        own = [e for e in errors if e.metric == STEP and _belongs(e, name, apart=ROLLOUTS)]
        if len(own) >= _LEAST_POINTS or name == ANY_SCOPE:
            # What tells how far the next source lies has no rollouts, whose arms are those of what they leave unsaid.
            yield stretched(_around(own, name), 1.0 if name == ROLLOUTS else reach)
    # Without a measured peak nothing is known of memory, and the step's scatter stands in.
    yield peak_band(peaks) if len(peaks) > 1 else replace(_outermost(errors, ANY_SCOPE), metric=MEMORY)


def _around(errors: Sequence[TrainingError], regime: str) -> Band:
    """The errors left out. Of few sources none says on which side the next will lie.

    The prediction stays as it is, and both arms are as long as the longer from there.
    """
    band = _outermost(errors, regime)
    if len({error.place.source for error in errors if error.fold == "source"}) >= _SEVERAL_SOURCES:
        return band
    arm = max(band.high, -band.low)
    return replace(band, low=-arm, middle=0.0, high=arm)


def _belongs(error: TrainingError, regime: str, *, apart: str) -> bool:
    return error.place.band == regime if regime != ANY_SCOPE else error.place.band != apart


def _outermost(errors: Sequence[TrainingError], regime: str) -> Band:
    """The widest arms of the ways of leaving out, so that what is new in any of them lies inside; the mean middle.

    A fit that nobody checked on what it had not seen is judged by itself.
    """
    ways = [[e for e in errors if e.fold == fold and e.metric == STEP] for fold in FOLDS]
    known = [way for way in ways if len(way) >= _LEAST_POINTS]
    power = _SOURCE_POWER.get(regime, 0.0)
    found = [_quantiles(way, power) for way in known or [[e for e in errors if e.metric == STEP]]]
    return Band(
        metric=STEP,
        regime=regime,
        low=min(low for low, _, _ in found),
        middle=float(np.mean([middle for _, middle, _ in found])),
        high=max(high for _, _, high in found),
        many=sum(len(way) for way in known),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What was left out of a regime: its errors, and how many arms of the others' interval each lies off."""

    fold: str
    value: str
    regime: str
    errors: tuple[TrainingError, ...]
    arms: FloatArray
    weights: FloatArray


def _left_out(errors: Sequence[TrainingError]) -> list[LeftOut]:
    """Everything that was left out of a regime of which enough others remain to make an interval."""
    steps = [error for error in errors if error.metric == STEP]
    found = [
        _left_of([error for error in steps if error.place.band == regime], regime, fold, value)
        for regime in BANDS
        for fold in FOLDS
        for value in sorted({str(getattr(e.place, fold)) for e in steps if e.fold == fold and e.place.band == regime})
    ]
    return [one for one in found if one is not None]


def _left_of(own: Sequence[TrainingError], regime: str, fold: str, value: str) -> LeftOut | None:
    kept = [error for error in own if getattr(error.place, fold) != value]
    if sum(error.fold in FOLDS for error in kept) < _LEAST_POINTS:
        return None
    band = _around(kept, regime)
    left = tuple(error for error in own if error.fold == fold and getattr(error.place, fold) == value)
    weights = _weights([error.place for error in left], _SOURCE_POWER.get(regime, 0.0))
    return LeftOut(
        fold=fold,
        value=value,
        regime=regime,
        errors=left,
        arms=np.array([_arms(error, band) for error in left]),
        weights=weights / weights.sum(),
    )


def judged(errors: Sequence[TrainingError]) -> tuple[TrainingError, ...]:
    """The errors, those left out told apart by whether an interval that has not seen them would hold them.

    Neither its band nor its reach has: both are made as if none of these runs had ever been measured.
    """
    inside: dict[int, bool] = {}
    every = _left_out(errors)
    told = _told(every)
    for fold, value in sorted({(one.fold, one.value) for one in every}):
        # Of as many ways as the whole goes by: one that falls short without what is judged is no reason for short arms.
        reach = _reach(_left_out([e for e in errors if getattr(e.place, fold) != value]), told)
        for one in every:
            if (one.fold, one.value) == (fold, value):
                inside |= {id(error): bool(arms <= reach) for error, arms in zip(one.errors, one.arms, strict=True)}
    return tuple(replace(error, inside=inside.get(id(error), error.inside)) for error in errors)


def _arms(error: TrainingError, band: Band) -> float:
    """How many arms of a band an error lies from its middle."""
    off = -error.log_error / error.widening - band.middle
    return off / (band.high - band.middle) if off > 0.0 else off / (band.low - band.middle)


def _told(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """The ways of leaving out that enough sources, models or GPUs went to tell how far the next lies."""
    return tuple(fold for fold in FOLDS if len({one.value for one in _way(left_out, fold)}) >= _LEAST_LEFT_OUT)


def _way(left_out: Sequence[LeftOut], fold: str) -> list[LeftOut]:
    """What went one way. Rollouts stand apart."""
    return [one for one in left_out if one.fold == fold and one.regime != ROLLOUTS]


def _reach(left_out: Sequence[LeftOut], ways: Sequence[str]) -> float:
    """The arms that hold four of five errors of what was left out, in the worst way of leaving out; at least one.

    A regime has too few sources to tell how far the next lies: those of all regimes tell it together, and each counts
    the same, whatever its runs and in however many regimes it has some. The quantile knows nothing of how few they
    are, so that the longer of it and of Student's t over what was left out stands. Of so few a conformal interval would
    take nearly the longest error of all (training/METHOD.md).
    """
    found = [way for fold in ways if (way := _way(left_out, fold))]
    return max([1.0, *map(_held_arms, found), *map(_next_arms, found)])


def _next_arms(way: Sequence[LeftOut]) -> float:
    """The arms that hold four of five errors of one more source, model or GPU in a regime, each such counting the same.

    Student's t: what was left out of a regime is one draw, however many runs it has. Each lies off the middle of the
    others' interval, so that no mean is estimated: as many degrees of freedom as draws, and nothing for where the mean
    may lie.
    """
    many = len(way)
    if many < _LEAST_LEFT_OUT:
        return 0.0
    variance = float(np.mean([np.sum(one.weights * one.arms**2) for one in way]))
    return float(student.ppf(0.5 + _HELD / 2.0, many)) * math.sqrt(variance)


def _held_arms(way: Sequence[LeftOut]) -> float:
    regimes = Counter(one.value for one in way)
    arms = np.concatenate([one.arms for one in way])
    return _quantile(arms, np.concatenate([one.weights / regimes[one.value] for one in way]), _HELD)


def stretched(band: Band, factor: float) -> Band:
    """The band with longer arms about the same middle."""
    low, high = (band.middle + factor * (end - band.middle) for end in (band.low, band.high))
    return replace(band, low=low, high=high)


def _quantiles(errors: Sequence[TrainingError], power: float) -> tuple[float, float, float]:
    """Of ln(measured / predicted) over what it is stretched by."""
    ratios = np.array([-error.log_error / error.widening for error in errors])
    weights = _weights([error.place for error in errors], power)
    return _quantile(ratios, weights, 0.1), _quantile(ratios, weights, 0.5), _quantile(ratios, weights, 0.9)


def _weights(places: Sequence[TrainingPlace], power: float) -> FloatArray:
    """A group counts with the root of its runs; `power`: how far a source's groups share its weight, 1 for all."""
    many = Counter(place.group for place in places)
    own = np.array([many[place.group] ** -0.5 for place in places])
    sources: dict[str, float] = {}
    for place, weight in zip(places, own, strict=True):
        sources[place.source] = sources.get(place.source, 0.0) + float(weight)
    shares = np.array([sources[place.source] ** power for place in places])
    return np.asarray(own / shares, dtype=np.float64)


def _quantile(values: FloatArray, weights: FloatArray, q: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(np.interp(q * total[-1], total, values[order]))


def peak_band(peaks: Sequence[MemoryRun]) -> Band:
    """Around the formula the wider of two intervals, both for a group that is one more than those measured.

    Student's t with as many degrees of freedom as there are other groups, less one for each assumption that was judged
    with the peaks in view: those count as fitted. The errors that four of five stay below, of as many more as a
    conformal interval takes (Vovk et al. 2005, "Algorithmic learning in a random world"). No correction is fitted: the
    median of one lot of peaks made others worse.
    """
    weights = _weights([peak.place for peak in peaks], _PEAK_POWER)
    groups = len({peak.place.group for peak in peaks})
    free = max(1, groups - 1 - len(JUDGED))
    off = np.abs([peak.log_error / peak.widening for peak in peaks])
    deviation = float(np.sqrt(np.average(off**2, weights=weights) * groups / (free + 1)))
    normal = float(student.ppf(0.9, free)) * deviation * np.sqrt(1.0 + 1.0 / groups)
    arm = max(normal, _quantile(off, weights, min(1.0, 0.8 * (1.0 + 1.0 / groups))))
    return Band(metric=MEMORY, regime=ANY_SCOPE, low=-arm, middle=0.0, high=arm, many=len(peaks))


def peak_errors(peaks: Sequence[MemoryRun]) -> Iterator[TrainingError]:
    """Errors of the formula, and whether the interval of the others holds those of each source, model and GPU."""
    if len(peaks) > 1:
        yield from _under(peak_band(peaks), peaks, "fit")
    for name in FOLDS:
        counted = Counter(str(getattr(peak.place, name)) for peak in peaks)
        for value in sorted(value for value, many in counted.items() if _LEAST_PEAKS <= many < len(peaks)):
            kept = [peak for peak in peaks if getattr(peak.place, name) != value]
            yield from _under(peak_band(kept), [peak for peak in peaks if peak not in kept], name)


def _under(band: Band, peaks: Sequence[MemoryRun], fold: str) -> Iterator[TrainingError]:
    for peak in peaks:
        yield TrainingError(
            place=peak.place,
            metric=MEMORY,
            fold=fold,
            log_error=peak.log_error,
            widening=peak.widening,
            inside=band.low <= -peak.log_error / peak.widening <= band.high,
        )


def is_inside(error: TrainingError, bands: Sequence[Band]) -> bool:
    """Whether the interval of the error's regime holds it."""
    if error.inside is not None:
        return error.inside
    own = [b for b in bands if b.metric == error.metric and b.regime in {error.place.band, "*"}]
    band = min(own, key=lambda b: b.regime == "*")
    off = (-error.log_error - band.middle) / error.widening
    return band.low - band.middle <= off <= band.high - band.middle
