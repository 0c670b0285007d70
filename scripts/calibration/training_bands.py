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
# Fewer errors than this make no band of their own.
_LEAST_POINTS = 20
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
    for name in (*REGIMES, ANY_SCOPE):
        own = [e for e in errors if e.metric == STEP and _belongs(e, name, apart=ROLLOUTS)]
        if len(own) >= _LEAST_POINTS or name == ANY_SCOPE:
            yield _outermost(own, name)
    # Without a measured peak nothing is known of memory, and the step's scatter stands in.
    yield peak_band(peaks) if len(peaks) > 1 else replace(_outermost(errors, ANY_SCOPE), metric=MEMORY)


def _belongs(error: TrainingError, regime: str, *, apart: str) -> bool:
    return error.place.regime == regime if regime != ANY_SCOPE else error.place.regime != apart


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


def _quantiles(errors: Sequence[TrainingError]) -> tuple[float, float, float]:
    ratios, weights = _weighed(errors)
    return _quantile(ratios, weights, 0.1), _quantile(ratios, weights, 0.5), _quantile(ratios, weights, 0.9)


def _weighed(errors: Sequence[TrainingError]) -> tuple[FloatArray, FloatArray]:
    """ln(measured / predicted) and weights: a group counts with the square root of its runs."""
    return np.array([-error.log_error for error in errors]), _weights([error.place for error in errors])


def _weights(places: Sequence[TrainingPlace]) -> FloatArray:
    many = Counter(place.group for place in places)
    return np.array([many[place.group] ** -0.5 for place in places])


def _quantile(values: FloatArray, weights: FloatArray, q: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(np.interp(q * total[-1], total, values[order]))


def peak_band(peaks: Sequence[MemoryRun]) -> Band:
    """Around the formula the wider of two intervals, both for a group that is one more than those measured.

    Student's t with as many degrees of freedom as there are other groups; the errors that four of five stay below, of
    as many more as a conformal interval takes (Vovk et al. 2005, "Algorithmic learning in a random world"). No
    correction is fitted: the median of one lot of peaks made others worse.
    """
    weights = _weights([peak.place for peak in peaks])
    groups = len({peak.place.group for peak in peaks})
    off = np.abs([peak.log_error / peak.widening for peak in peaks])
    deviation = float(np.sqrt(np.average(off**2, weights=weights)))
    normal = float(student.ppf(0.9, max(1, groups - 1))) * deviation * np.sqrt(1.0 + 1.0 / groups)
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
    own = [b for b in bands if b.metric == error.metric and b.regime in {error.place.regime, "*"}]
    band = min(own, key=lambda b: b.regime == "*")
    off = (-error.log_error - band.middle) / error.widening
    return band.low - band.middle <= off <= band.high - band.middle
