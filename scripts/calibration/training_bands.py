"""Residuals of fitted trainings -> bands: how far measured steps and peaks of memory lie from what is predicted."""

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
# How far the runs of a source share its weight.
_SOURCE_POWER = {PLAIN: 1.0}
# Fewer errors than this make no band of their own.
_LEAST_POINTS = 20
# How far sources, models or GPUs differ is known from no fewer than this of them, and of sources.
_LEAST_OTHERS = 2
# From so many sources on an interval may be longer on one side.
_SEVERAL_SOURCES = 4
# The share of errors that an interval must hold without having seen them.
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
    for name in (*BANDS, ANY_SCOPE):
        own = [e for e in errors if e.metric == STEP and _belongs(e, name, apart=ROLLOUTS)]
        if len(own) >= _LEAST_POINTS or name == ANY_SCOPE:
            yield _band_of(own, name)
    # Without a measured peak nothing is known of memory, and the step's scatter stands in.
    yield peak_band(peaks) if len(peaks) > 1 else replace(_outermost(errors, ANY_SCOPE), metric=MEMORY)


def _band_of(errors: Sequence[TrainingError], regime: str) -> Band:
    """The errors left out, as far as errors of what no interval was made of ask for."""
    return _of_either_side(stretched(_outermost(errors, regime), _arms_to_unseen(_unseen(errors, regime))), errors)


def _of_either_side(band: Band, errors: Sequence[TrainingError]) -> Band:
    """Of few sources none says on which side the next will lie: both arms are as long as the longer."""
    if len({error.place.source for error in errors}) >= _SEVERAL_SOURCES:
        return band
    arm = max(band.high - band.middle, band.middle - band.low)
    return replace(band, low=band.middle - arm, high=band.middle + arm)


def _belongs(error: TrainingError, regime: str, *, apart: str) -> bool:
    return error.place.band == regime if regime != ANY_SCOPE else error.place.band != apart


def _outermost(errors: Sequence[TrainingError], regime: str) -> Band:
    """The widest arms of the ways of leaving out, so that what is new in any of them lies inside; the mean middle.

    A fit that nobody checked on what it had not seen is judged by itself.
    """
    ways = [[e for e in errors if e.fold == fold and e.metric == STEP] for fold in FOLDS]
    known = [way for way in ways if len(way) >= _LEAST_POINTS]
    found = [_quantiles(way) for way in known or [[e for e in errors if e.metric == STEP]]]
    return Band(
        metric=STEP,
        regime=regime,
        low=min(low for low, _, _ in found),
        middle=float(np.mean([middle for _, middle, _ in found])),
        high=max(high for _, _, high in found),
        many=sum(len(way) for way in known),
    )


def _unseen(errors: Sequence[TrainingError], regime: str) -> Iterator[tuple[TrainingError, float]]:
    """Every error left out, and how many arms of the band made without its source, model or GPU it lies off.

    What leaves too few others is not judged: the band of a single source tells how its runs scatter, not how far from
    it the next lies, and arms counted in it say nothing of a band that holds both.
    """
    for fold in FOLDS:
        own = [e for e in errors if e.fold == fold]
        for value in sorted({str(getattr(e.place, fold)) for e in own}):
            kept = [e for e in errors if getattr(e.place, fold) != value]
            others = min(len({getattr(e.place, kind) for e in kept}) for kind in (fold, "source"))
            if others < _LEAST_OTHERS or sum(e.fold in FOLDS for e in kept) < _LEAST_POINTS:
                continue
            band = _outermost(kept, regime)
            yield from ((e, _arms(e, band)) for e in own if getattr(e.place, fold) == value)


def judged(errors: Sequence[TrainingError]) -> tuple[TrainingError, ...]:
    """The errors, those left out told apart by whether an interval that has not seen them would hold them."""
    inside: dict[int, bool] = {}
    for name in BANDS:
        unseen = list(_unseen([e for e in errors if e.metric == STEP and e.place.band == name], name))
        longest = _arms_to_unseen(iter(unseen))
        inside |= {id(error): arms <= longest for error, arms in unseen}
    return tuple(replace(error, inside=inside.get(id(error), error.inside)) for error in errors)


def _arms(error: TrainingError, band: Band) -> float:
    """How many arms of a band an error lies from its middle."""
    off = -error.log_error / error.widening - band.middle
    return off / (band.high - band.middle) if off > 0.0 else off / (band.low - band.middle)


def _arms_to_unseen(unseen: Iterator[tuple[TrainingError, float]]) -> float:
    """The arms that hold four of five errors of the worst way of leaving out, never less than one.

    An interval is made without what it judges, as it will be for sources that nobody has seen.
    """
    ways: dict[str, list[tuple[TrainingError, float]]] = {}
    for error, arms in unseen:
        ways.setdefault(error.fold, []).append((error, arms))
    return max((_held_arms(way) for way in ways.values()), default=1.0)


def _held_arms(way: Sequence[tuple[TrainingError, float]]) -> float:
    """Arms that hold four of five errors, whether each group and source counts by its weight or every run the same."""
    arms, weights = np.array([arms for _, arms in way]), _weights([error.place for error, _ in way])
    return max(1.0, _quantile(arms, weights, _HELD), _quantile(arms, np.ones(arms.size), _HELD))


def stretched(band: Band, factor: float) -> Band:
    """The band with longer arms about the same middle."""
    low, high = (band.middle + factor * (end - band.middle) for end in (band.low, band.high))
    return replace(band, low=low, high=high)


def _quantiles(errors: Sequence[TrainingError]) -> tuple[float, float, float]:
    ratios, weights = _weighed(errors)
    return _quantile(ratios, weights, 0.1), _quantile(ratios, weights, 0.5), _quantile(ratios, weights, 0.9)


def _weighed(errors: Sequence[TrainingError]) -> tuple[FloatArray, FloatArray]:
    """ln(measured / predicted) over what it is stretched by, and weights: a group counts with the root of its runs."""
    return np.array([-error.log_error / error.widening for error in errors]), _weights(
        [error.place for error in errors]
    )


def _weights(places: Sequence[TrainingPlace]) -> FloatArray:
    """A group counts with the root of its runs, a source with the root of its groups' weights.

    Sources on stacks of their own count the same: the next one may be like any of them.
    """
    many = Counter(place.group for place in places)
    own = np.array([many[place.group] ** -0.5 for place in places])
    sources: dict[str, float] = {}
    for place, weight in zip(places, own, strict=True):
        sources[place.source] = sources.get(place.source, 0.0) + float(weight)
    shares = [sources[place.source] ** _SOURCE_POWER.get(place.band, 0.5) for place in places]
    return np.asarray(own / np.array(shares), dtype=np.float64)


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
    weights = _weights([peak.place for peak in peaks])
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
