"""Stage two of the calibration: served runs -> config/calibration/inference.yaml, cross-validated."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import orjson

from scripts.calibration.overhead_fit import ENGINES, SPECS, Fitting, Slots, fit_overheads, slots
from scripts.calibration.refusals import Refuse, unheard
from scripts.calibration.run_arrays import METRICS, Runs
from scripts.calibration.served_runs import Place, ServedRun, served_run
from service.catalog.catalog import Catalog
from service.schemas.evidence import read_measured
from service.schemas.measured import MeasuredInference
from service.sizing.table import FloatArray
from service.sizing.version import ENGINE_VERSION

_STEPS = 14
_FOLD_ROWS = 20
_FOLDS = ("source", "model", "gpu")
# One rate of disaggregated serving is not a distribution: the inverse of its TPOT stands in.
_LEAST_POINTS = 20
_REGIMES = ("aggregated/dense", "aggregated/moe", "disaggregated")
# One source cannot show how sources differ: submitters of one benchmark differ by up to 24 % on one box.
_SEVERAL, _ONE_SOURCE_ARM = 2, 0.25
# An interval of 80 % made without a whole source, model or GPU holds less of it: arms grow until it holds this much.
_LEAST_INSIDE, _WIDENINGS = 0.77, np.arange(1.0, 2.01, 0.02)
_HEADER = """\
# What serving engines add to their kernels, fitted on served runs by scripts/calibrate; do not edit by hand.
# coefficients: a factor on kernels, gaps between them, host work; scope = engine/model kind, engine, model kind, or *.
# residuals: quantiles of ln(measured / predicted) where the fit had not seen the run's source, model or GPU: the median
# of folds that kept runs of the regime, 0 unless it brings nearer sources, models and GPUs that had no part in it, each
# of the three; and the widest arms of the three ways of leaving out, at least 0.25 where one source has such runs.
# Arms are longer by the least factor under which each way of leaving out lies inside at least 77 % of the time.
# errors: absolute error over measured; median over groups (source x model x GPU x precision x mode), p90 over rows;
# inside: share in intervals that had not seen the source, model or GPU either.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """ln(predicted / measured) of one metric of one run, in the fit itself or in one way of leaving runs out.

    `blind`: hardly a run of its regime was left to fit on, so that it tells of the priors and not of what was fitted.
    """

    place: Place
    metric: str
    fold: str
    log_error: float
    blind: bool = False


def calibration_runs(
    catalog: Catalog, path: Path, say: Callable[[str], None], refuse: Refuse = unheard
) -> list[ServedRun]:
    """The runs of a file that may be fitted: those whose split is calibration; `refuse` is told of those refused."""
    found = []
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        raw = orjson.loads(line)
        run = read_measured(raw)
        if raw.get("split") == "calibration" and isinstance(run, MeasuredInference):
            served = served_run(catalog, run, str(raw.get("source", "")), refuse)
            found += [] if served is None else [served]
        if number % 500 == 0:
            say(f"composed {number} of {len(lines)} lines")
    return found


def _sets(runs: Sequence[ServedRun], place: Slots) -> list[Fitting]:
    modes = [[run for run in runs if (run.prefill is not None) is pooled] for pooled in (False, True)]
    return [Fitting(Runs(some), place) for some in modes if some]


def _errors(sets: Sequence[Fitting], vector: FloatArray, fold: str, *, fitted: Sequence[ServedRun]) -> list[Error]:
    seen = Counter(regime(run.place) for run in fitted)
    return [
        Error(
            place=run.place,
            metric=metric,
            fold=fold,
            log_error=float(error),
            blind=seen[regime(run.place)] < _FOLD_ROWS,
        )
        for one in sets
        for metric, errors in one.log_errors(vector).items()
        for run, error in zip(one.runs.runs, errors, strict=True)
        if np.isfinite(error)
    ]


def calibrate(runs: Sequence[ServedRun], say: Callable[[str], None]) -> tuple[FloatArray, list[Error]]:
    """The fitted vector, its own errors, and those of folds that leave out one source, model or GPU at a time."""
    place = slots()
    say(f"fitting {place.start.size} numbers on {len(runs)} runs")
    vector = fit_overheads(_sets(runs, place), place, steps=_STEPS)
    errors = _errors(_sets(runs, place), vector, "fit", fitted=runs)
    for name in _FOLDS:
        counted = Counter(str(getattr(run.place, name)) for run in runs)
        for value in sorted(value for value, many in counted.items() if many >= _FOLD_ROWS):
            say(f"leaving out {name} {value}")
            kept = [run for run in runs if getattr(run.place, name) != value]
            left = [run for run in runs if getattr(run.place, name) == value]
            # From the priors again: the runs left out have never been seen.
            found = fit_overheads(_sets(kept, place), place, steps=_STEPS)
            errors += _errors(_sets(left, place), found, name, fitted=kept)
    return vector, errors


def write_served(path: Path, vector: FloatArray, errors: Sequence[Error], *, today: date, runs: int) -> None:
    """The file as people read it."""
    lines = [
        _HEADER.rstrip(),
        "schema_version: 1",
        f'fitted: "{today.isoformat()}"',
        f"inputs: {runs} lines of config/evidence/inference.jsonl whose split is calibration",
        "method: robust least squares on the logarithm with priors (scripts/calibration/overhead_fit.py)",
        f'code_version: "{ENGINE_VERSION}"',
        "errors:",
        *_error_lines(errors),
        "coefficients:",
        *_coefficient_lines(vector),
        "residuals:",
        *_band_lines(errors),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _coefficient_lines(vector: FloatArray) -> list[str]:
    place, found = slots(), []
    for spec in SPECS:
        for engine in ENGINES if spec.by_engine else ("",):
            for label in ("dense", "moe") if spec.moe else ("",):
                total = vector[place.index[spec.name, "*"]]
                total += vector[place.index[spec.name, engine]] if engine else 0.0
                total += vector[place.index[spec.name, "moe"]] if label == "moe" else 0.0
                scope = "/".join(part for part in (engine, label) if part) or "*"
                value = f"{float(np.exp(total)):.4g}"
                found.append(_coefficient(spec.name, scope, value=value, source="served runs"))
    source = "own estimate: one collective between servers, beyond its bytes"
    return [*found, _coefficient("scale_out_latency_us", "*", value="20", source=source)]


def _coefficient(name: str, scope: str, *, value: str, source: str) -> str:
    return f'  - {{name: inference.{name}, scope: "{scope}", value: {value}, source: "{source}"}}'


def regime(place: Place) -> str:
    """The regime whose residuals a prediction takes."""
    return place.mode if place.mode == "disaggregated" else f"{place.mode}/{place.label}"


def _band_lines(errors: Sequence[Error]) -> list[str]:
    """Quantiles of every metric in every regime that has enough points."""
    return [
        _band_line(own, metric, name)
        for metric in METRICS
        for name in _REGIMES
        if len(own := _left_out(errors, metric, name)) >= _LEAST_POINTS
    ]


def _left_out(errors: Sequence[Error], metric: str, name: str) -> list[Error]:
    """Errors of the runs that folds left out; where rates are too few the inverse of TPOT stands in."""
    own = [e for e in errors if e.metric == metric and e.fold != "fit" and regime(e.place) == name]
    if len(own) < _LEAST_POINTS and metric == "output_tokens_s":
        return [replace(e, log_error=-e.log_error) for e in _left_out(errors, "tpot_ms", name)]
    return own


def _band_line(errors: Sequence[Error], metric: str, name: str) -> str:
    low, middle, high = widened(band(errors), widening(errors))
    numbers = f"q10: {low:.4g}, q50: {middle:.4g}, q90: {high:.4g}, n: {len(errors)}"
    return f"  - {{metric: inference.{metric}, regime: {name}, {numbers}}}"


def band(errors: Sequence[Error]) -> tuple[float, float, float]:
    """Quantiles of ln(measured / predicted): the median that points carry, and the widest arms.

    A run that nobody has seen may be of another source, another model or another GPU, whichever is predicted worst.
    Arms of an engine's own held 52 to 86 % of what was left out, where its few sources were all that was known of it.
    """
    middle = carried_median(errors)
    ways = [some for name in _FOLDS if len(some := [e for e in errors if e.fold == name]) >= _LEAST_POINTS] or [
        list(errors)
    ]
    low = min(middle, *(_quantile(some, 0.1) for some in ways))
    high = max(middle, *(_quantile(some, 0.9) for some in ways))
    if len(_sources(errors)) < _SEVERAL:
        low, high = min(low, middle - _ONE_SOURCE_ARM), max(high, middle + _ONE_SOURCE_ARM)
    return low, middle, high


def widened(quantiles: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    """The same median with longer arms."""
    low, middle, high = quantiles
    return middle - factor * (middle - low), middle, middle + factor * (high - middle)


def widening(errors: Sequence[Error]) -> float:
    """The least factor on the arms under which every way of leaving out holds enough; the largest where none does."""
    ways = [apart for fold in _FOLDS if (apart := _apart(errors, fold))]
    enough = (f for f in _WIDENINGS if all(_held(apart, float(f)) >= _LEAST_INSIDE for apart in ways))
    return float(next(enough, _WIDENINGS[-1]))


def carried_median(errors: Sequence[Error]) -> float:
    """The median of ln(measured / predicted) if it brings nearer what had no part in it, be that of another source,
    another model or another GPU; else 0.

    What one source measures longer, another may measure shorter: a median of some is no correction of others, and that
    of a single source, tried on its models or GPUs, is none.
    """
    gains: Counter[str] = Counter()
    for fold, left, middle in _medians_of_others(errors):
        misses = [(_miss(error.log_error), _miss(error.log_error + middle)) for error in left]
        gains[fold] += sum(
            weight * (before - after) for (before, after), weight in zip(misses, _balanced(left), strict=True)
        )
    # A way that nothing was left out by, or by which too few others remain, is one that it was not tried on.
    held = all(gains[fold] > 0.0 for fold in _FOLDS)
    return _median(errors) if held else 0.0


def _miss(log_error: float) -> float:
    """The error as it is judged, over what was measured: twice too long counts double of half as long, so that of two
    medians that are equally far the shorter is preferred.
    """
    return abs(math.expm1(log_error))


def _medians_of_others(errors: Sequence[Error]) -> Iterator[tuple[str, list[Error], float]]:
    """What each fold left out, and the median of everything that is of another source, model or GPU."""
    for fold in _FOLDS:
        for value in sorted({getattr(e.place, fold) for e in errors if e.fold == fold}):
            others = [e for e in errors if getattr(e.place, fold) != value]
            if len(others) >= _LEAST_POINTS:
                left = [e for e in errors if e.fold == fold and getattr(e.place, fold) == value]
                yield fold, left, _median(others)


def _median(errors: Sequence[Error]) -> float:
    """Of folds that kept runs of the regime, where there are enough of them."""
    sighted = [e for e in errors if not e.blind]
    return _quantile(sighted if len(sighted) >= _LEAST_POINTS else errors, 0.5)


def inside_fraction(errors: Sequence[Error], fold: str) -> float:
    """Share of one way of leaving out that lies inside intervals which had not seen that source, model or GPU either.

    Not a number where nothing else is left to make an interval of.
    """
    apart = _apart(errors, fold)
    return _held(apart, widening(errors)) if apart else float("nan")


# Quantiles of everything that is of another source, model or GPU, and ln(measured / predicted) of what is of this one.
_Apart = tuple[tuple[float, float, float], FloatArray]


def _apart(errors: Sequence[Error], fold: str) -> list[_Apart]:
    found = []
    for value in sorted({getattr(e.place, fold) for e in errors if e.fold == fold}):
        others = [e for e in errors if getattr(e.place, fold) != value]
        left = [-e.log_error for e in errors if e.fold == fold and getattr(e.place, fold) == value]
        if len(others) >= _LEAST_POINTS:
            found.append((band(others), np.array(left)))
    return found


def _held(apart: Sequence[_Apart], factor: float) -> float:
    held = []
    for quantiles, left in apart:
        low, _, high = widened(quantiles, factor)
        held.append((low <= left) & (left <= high))
    return float(np.mean(np.concatenate(held)))


def _sources(errors: Sequence[Error]) -> list[str]:
    """Sources that have enough runs to show their own habits."""
    many = Counter(error.place.source for error in errors)
    return [source for source, count in many.items() if count >= _FOLD_ROWS]


def _balanced(errors: Sequence[Error]) -> FloatArray:
    """Weights under which a group counts with the square root of its runs."""
    many = Counter(error.place.group for error in errors)
    return np.array([many[error.place.group] ** -0.5 for error in errors])


def _quantile(errors: Sequence[Error], fraction: float) -> float:
    """Of ln(measured / predicted)."""
    values, weights = np.array([-error.log_error for error in errors]), _balanced(errors)
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(np.interp(fraction * total[-1], total, values[order]))


def _error_lines(errors: Sequence[Error]) -> list[str]:
    found = []
    for fold in ("fit", *_FOLDS):
        for metric in METRICS:
            for name in _REGIMES:
                own = [e for e in errors if e.fold == fold and e.metric == metric and regime(e.place) == name]
                if own:
                    words = _error_words(own, fold, metric, name) + _inside_words(errors, fold, metric, name)
                    found.append(f"  - {{{words}}}")
    return found


def _inside_words(errors: Sequence[Error], fold: str, metric: str, name: str) -> str:
    if fold == "fit":
        return ""
    own = [e for e in errors if e.metric == metric and e.fold != "fit" and regime(e.place) == name]
    inside = inside_fraction(own, fold)
    return "" if np.isnan(inside) else f", inside: {inside:.2f}"


def _error_words(errors: Sequence[Error], fold: str, metric: str, name: str) -> str:
    ratios = np.exp(np.array([error.log_error for error in errors])) - 1.0
    groups: dict[tuple[str, ...], list[float]] = {}
    for error, ratio in zip(errors, np.abs(ratios), strict=True):
        groups.setdefault(error.place.group, []).append(float(ratio))
    median = np.median([np.median(some) for some in groups.values()])
    left = "nothing" if fold == "fit" else fold
    return (
        f"left_out: {left}, metric: {metric}, regime: {name}, rows: {len(errors)}, groups: {len(groups)}, "
        f"group_median: {median:.3f}, row_median: {np.median(np.abs(ratios)):.3f}, "
        f"row_p90: {np.quantile(np.abs(ratios), 0.9):.3f}, bias: {np.median(ratios):.3f}"
    )
