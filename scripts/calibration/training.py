"""Measured trainings -> config/calibration/training.yaml: fitted, cross-validated, written as people read it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from scripts.calibration.training_fit import (
    ATTENTION_SINCE_YEAR,
    GENERATIONS,
    GROUPED,
    PEAK_FRACTION,
    PRECISIONS,
    TRAINED,
    TRAINING_SPECS,
    StackedRuns,
    fit_training,
    value_at,
)
from scripts.calibration.training_memory import MemoryRun
from scripts.calibration.training_runs import TrainingPlace, TrainingRun
from service.sizing.calibration import ANY_SCOPE
from service.sizing.table import FloatArray
from service.sizing.version import ENGINE_VERSION

STEP, MEMORY = "training.step_time_s", "training.peak_memory_gb"
_ROLLOUTS, _ADAPTERS = "grpo", "adapter"
_STEPS, _FOLD_STEPS = 40, 12
_FOLD_ROWS = 20
_FOLDS = ("source", "model", "gpu")
_REGIMES = ("dense", "moe", _ADAPTERS, _ROLLOUTS)
# Fewer errors than this make no band of their own.
_LEAST_POINTS = 20
_SPECIAL = frozenset({"product_factor", "generation_factor", "attention_before_factor", "expert_factor"})
_HEADER = """\
# What training adds to the kernels of kernels.yaml, fitted on measured runs by scripts/calibrate --only training; do
# not edit by hand. coefficients: scope = generation/precision, precision, model kind, generation, or *.
# residuals: quantiles of ln(measured / predicted) where the fit had not seen the run's source, model or GPU, widest of
# the three; of memory a prediction interval of Student's t over groups.
# errors: absolute error over measured, median over groups (source x model x GPU x precision x method) and over rows,
# p90 over rows; bias = median of predicted over measured less one, inside = share within the 80 % interval of below.
# Memory is a formula whose assumptions were judged with these lines in view, so no fold tests it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingError:
    """ln(predicted / measured) of one metric of one run, in the fit itself or in one way of leaving runs out."""

    place: TrainingPlace
    metric: str
    fold: str
    log_error: float
    # By what the interval of a run that states less than others is stretched.
    widening: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFit:
    """What a calibration found."""

    vector: FloatArray
    errors: tuple[TrainingError, ...]
    runs: int


def calibrate_training(
    runs: Sequence[TrainingRun], memories: Sequence[MemoryRun], say: Callable[[str], None], *, folded: bool = True
) -> TrainingFit:
    """The fit on all runs, and the errors of it and, where `folded`, of fits without a source, a model or a GPU."""
    say(f"fitting training on {len(runs)} runs")
    vector = fit_training(StackedRuns(runs), steps=_STEPS)
    errors = _step_errors(runs, vector, "fit")
    for name, value in folds([run.place for run in runs]) if folded else ():
        say(f"leaving out {name} {value}")
        kept = [run for run in runs if getattr(run.place, name) != value]
        # What no kept run is like was not fitted, so nothing of the fit is tested on it.
        alike = {run.place.regime for run in kept}
        left = [run for run in runs if getattr(run.place, name) == value and run.place.regime in alike]
        found = fit_training(StackedRuns(kept), start=vector, steps=_FOLD_STEPS)
        errors += _step_errors(left, found, name) if left else []
    memory = [
        TrainingError(place=run.place, metric=MEMORY, fold="fit", log_error=run.log_error, widening=run.widening)
        for run in memories
    ]
    return TrainingFit(vector=vector, errors=(*errors, *memory), runs=len(runs))


def folds(places: Sequence[TrainingPlace]) -> Iterator[tuple[str, str]]:
    """Every source, model and GPU that has enough runs to be left out whole."""
    for name in _FOLDS:
        counted = Counter(str(getattr(place, name)) for place in places)
        yield from ((name, value) for value, many in sorted(counted.items()) if many >= _FOLD_ROWS)


def _step_errors(runs: Sequence[TrainingRun], vector: FloatArray, fold: str) -> list[TrainingError]:
    found = StackedRuns(runs).log_errors(vector)
    return [
        TrainingError(place=run.place, metric=STEP, fold=fold, log_error=float(error))
        for run, error in zip(runs, found, strict=True)
    ]


def write_training(path: Path, fit: TrainingFit, *, today: date) -> None:
    """The file as people read it."""
    bands = list(_bands(fit.errors))
    lines = [
        _HEADER.rstrip(),
        "schema_version: 1",
        f'fitted: "{today.isoformat()}"',
        f"inputs: {fit.runs} lines of config/evidence/training.jsonl whose split is calibration and that state a pace",
        "method: robust least squares on the logarithm of the step with priors (scripts/calibration/training_fit.py)",
        f'code_version: "{ENGINE_VERSION}"',
        "errors:",
        *_error_lines(fit.errors, bands),
        "coefficients:",
        *_coefficient_lines(fit),
        "residuals:",
        *(
            f'  - {{metric: {band.metric}, regime: "{band.regime}", q10: {band.low:.4g}, q50: {band.middle:.4g}, '
            f"q90: {band.high:.4g}, n: {band.many}}}"
            for band in bands
        ),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _coefficient_lines(fit: TrainingFit) -> Iterator[str]:
    vector = fit.vector
    what = {spec.name: spec.what for spec in TRAINING_SPECS}
    for precision in (*PRECISIONS, "fp16"):
        fitted = "bf16" if precision == "fp16" else precision
        common = value_at(vector, "product_factor", fitted)
        yield _coefficient("product_factor", f"*/{precision}", common, what["product_factor"])
        for generation in GENERATIONS:
            own = common * value_at(vector, "generation_factor", f"{generation}/{fitted}")
            yield _coefficient("product_factor", f"{generation}/{precision}", own, what["product_factor"])
        if fitted in GROUPED:
            own = value_at(vector, "expert_factor", fitted)
            yield _coefficient("expert_factor", precision, own, what["expert_factor"])
    yield _coefficient("product_peak_fraction", "*", 0.0, "no training was measured: the rate of the kernels")
    for generation in TRAINED:
        yield _coefficient("product_peak_fraction", generation, PEAK_FRACTION, "the share that product_factor is over")
    yield _coefficient("attention_since_year", "*", 0.0, "attention kernels were there from the beginning")
    yield _coefficient("attention_before_factor", "*", 1.0, "nothing before")
    for generation, year in ATTENTION_SINCE_YEAR.items():
        name = "attention_before_factor"
        yield _coefficient("attention_since_year", generation, year, "FlashAttention-3, arXiv 2407.08608")
        yield _coefficient(name, generation, value_at(vector, name, generation), what[name])
    for spec in TRAINING_SPECS:
        if spec.name not in _SPECIAL:
            for scope in spec.scopes:
                yield _coefficient(spec.name, scope, value_at(vector, spec.name, scope), spec.what)


def _coefficient(name: str, scope: str, value: float, source: str) -> str:
    return f'  - {{name: training.{name}, scope: "{scope}", value: {value:.5g}, source: "{source}"}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Quantiles of ln(measured / predicted) over the folds."""

    metric: str
    regime: str
    low: float
    middle: float
    high: float
    many: int


def _bands(errors: Sequence[TrainingError]) -> Iterator[Band]:
    """Every metric in every regime that has enough points, and over all regimes but those that stand apart."""
    for name in (*_REGIMES, ANY_SCOPE):
        own = [e for e in errors if e.metric == STEP and _belongs(e, name, apart=_ROLLOUTS)]
        if len(own) >= _LEAST_POINTS or name == ANY_SCOPE:
            yield _outermost(own, name)
    peaks = [e for e in errors if e.metric == MEMORY]
    # Without a measured peak nothing is known of memory, and the step's scatter stands in.
    yield _of_few(peaks) if len(peaks) > 1 else replace(_outermost(errors, ANY_SCOPE), metric=MEMORY)


def _belongs(error: TrainingError, regime: str, *, apart: str) -> bool:
    return error.place.regime == regime if regime != ANY_SCOPE else error.place.regime != apart


def _outermost(errors: Sequence[TrainingError], regime: str) -> Band:
    """The widest arms of the ways of leaving out, so that what is new in any of them lies inside; the mean middle.

    A fit that nobody checked on what it had not seen is judged by itself.
    """
    ways = [[e for e in errors if e.fold == fold and e.metric == STEP] for fold in _FOLDS]
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
    order = np.argsort(ratios)
    total = np.cumsum(weights[order])
    low, middle, high = (float(np.interp(q * total[-1], total, ratios[order])) for q in (0.1, 0.5, 0.9))
    return low, middle, high


def _weighed(errors: Sequence[TrainingError]) -> tuple[FloatArray, FloatArray]:
    """ln(measured / predicted) and weights: a group counts with the square root of its runs."""
    many = Counter(error.place.group for error in errors)
    ratios = np.array([-error.log_error for error in errors])
    return ratios, np.array([many[error.place.group] ** -0.5 for error in errors])


def _of_few(errors: Sequence[TrainingError]) -> Band:
    """A prediction interval of Student's t with as many degrees of freedom as there are other groups."""
    ratios, weights = _weighed(errors)
    groups = len({error.place.group for error in errors})
    _, middle, _ = _quantiles(errors)
    stretched = np.array([error.widening for error in errors])
    deviation = float(np.sqrt(np.average(((ratios - middle) / stretched) ** 2, weights=weights)))
    arm = float(student.ppf(0.9, max(1, groups - 1))) * deviation * np.sqrt(1.0 + 1.0 / groups)
    return Band(metric=MEMORY, regime=ANY_SCOPE, low=middle - arm, middle=middle, high=middle + arm, many=len(errors))


def _error_lines(errors: Sequence[TrainingError], bands: Sequence[Band]) -> Iterator[str]:
    """One line per way of leaving out, metric and regime; of the fit itself also per generation and precision."""
    for fold in ("fit", *_FOLDS):
        for metric in (STEP, MEMORY):
            own = [e for e in errors if e.fold == fold and e.metric == metric]
            for name in _REGIMES:
                yield from _words([e for e in own if e.place.regime == name], bands, f"regime: {name}", fold)
            if metric == STEP:
                for value in sorted({(e.place.regime, e.place.generation, e.place.precision) for e in own}):
                    some = [e for e in own if (e.place.regime, e.place.generation, e.place.precision) == value]
                    yield from _words(some, bands, f"regime: {'/'.join(value)}", fold)


def _words(errors: Sequence[TrainingError], bands: Sequence[Band], name: str, fold: str) -> Iterator[str]:
    if not errors:
        return
    ratios = np.expm1(np.array([error.log_error for error in errors]))
    groups: dict[tuple[str, ...], list[float]] = {}
    for error, ratio in zip(errors, np.abs(ratios), strict=True):
        groups.setdefault(error.place.group, []).append(float(ratio))
    inside = np.mean([_inside(error, bands) for error in errors])
    left = "nothing" if fold == "fit" else fold
    median = np.median([np.median(some) for some in groups.values()])
    yield (
        f"  - {{left_out: {left}, metric: {errors[0].metric}, {name}, rows: {len(errors)}, groups: {len(groups)}, "
        f"group_median: {median:.3f}, row_median: {np.median(np.abs(ratios)):.3f}, "
        f"row_p90: {np.quantile(np.abs(ratios), 0.9):.3f}, bias: {np.median(ratios):.3f}, inside: {inside:.2f}}}"
    )


def _inside(error: TrainingError, bands: Sequence[Band]) -> bool:
    own = [b for b in bands if b.metric == error.metric and b.regime in {error.place.regime, "*"}]
    band = min(own, key=lambda b: b.regime == "*")
    off = (-error.log_error - band.middle) / error.widening
    return band.low - band.middle <= off <= band.high - band.middle
