"""Measured trainings -> config/calibration/training.yaml: fitted, cross-validated, written as people read it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from scripts.calibration.stacked_trainings import StackedRuns
from scripts.calibration.training_bands import (
    FOLDS,
    MEMORY,
    REGIMES,
    STEP,
    Band,
    TrainingError,
    bands_of,
    is_inside,
    judged,
    peak_errors,
)
from scripts.calibration.training_coefficients import (
    EARLY_ATTENTION_UNTIL_YEAR,
    FUSED_ATTENTION_SINCE_YEAR,
    FUSED_EXPERTS_SINCE_YEAR,
    FUSED_NORMS_SINCE_YEAR,
    GENERATIONS,
    GROUPED,
    OLD_ATTENTION,
    PEAK_FRACTION,
    PLAIN_ATTENTION_UNTIL_YEAR,
    PRECISIONS,
    TRAINED,
    TRAINING_SPECS,
    value_at,
)
from scripts.calibration.training_fit import fit_training
from scripts.calibration.training_memory import MemoryRun
from scripts.calibration.training_runs import TrainingPlace, TrainingRun
from service.sizing.table import FloatArray
from service.sizing.version import ENGINE_VERSION

_STEPS = 60
_FOLD_ROWS = 20
_SPECIAL = frozenset({"product_factor", "generation_factor", "plain_attention_factor", "expert_factor"})
_HEADER = """\
# What training adds to the kernels of kernels.yaml, fitted on measured runs by scripts/calibrate --only training; do
# not edit by hand. coefficients: scope = generation/precision, precision, model kind, generation, or *.
# residuals: quantiles of ln(measured / predicted) where the fit had not seen the run's source, model or GPU, widest of
# the three, all arms longer by what intervals made without a source take to hold four of five errors of one more, by
# Student's t over sources in regimes; of memory a prediction interval of Student's t over groups.
# errors: absolute error over measured, median over groups (source x model x GPU x precision x method) and over rows,
# p90 over rows; bias = median of predicted over measured less one, inside = share within the 80 % interval; where a
# source, model or GPU is left out, within the interval that is made without any of its runs.
# Memory is a formula without a fitted number; each assumption that was judged with these lines in view takes a degree
# of freedom from its interval.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFit:
    """What a calibration found."""

    vector: FloatArray
    errors: tuple[TrainingError, ...]
    peaks: tuple[MemoryRun, ...]
    runs: int


def calibrate_training(
    runs: Sequence[TrainingRun], memories: Sequence[MemoryRun], say: Callable[[str], None], *, folded: bool = True
) -> TrainingFit:
    """The fit on all runs, and the errors of it and, where `folded`, of fits without a source, a model or a GPU.

    Each starts at the priors: what is left out leaves nothing behind.
    """
    say(f"fitting training on {len(runs)} runs")
    vector = fit_training(StackedRuns(runs), steps=_STEPS)
    errors = _step_errors(runs, vector, "fit")
    for name, value in folds([run.place for run in runs]) if folded else ():
        say(f"leaving out {name} {value}")
        kept = [run for run in runs if getattr(run.place, name) != value]
        # What no kept run is like was not fitted, so nothing of the fit is tested on it.
        alike = {run.place.regime for run in kept}
        left = [run for run in runs if getattr(run.place, name) == value and run.place.regime in alike]
        found = fit_training(StackedRuns(kept), steps=_STEPS)
        errors += _step_errors(left, found, name) if left else []
    return TrainingFit(vector=vector, errors=(*errors, *peak_errors(memories)), peaks=tuple(memories), runs=len(runs))


def folds(places: Sequence[TrainingPlace]) -> Iterator[tuple[str, str]]:
    """Every source, model and GPU that has enough runs to be left out whole."""
    for name in FOLDS:
        counted = Counter(str(getattr(place, name)) for place in places)
        yield from ((name, value) for value, many in sorted(counted.items()) if many >= _FOLD_ROWS)


def _step_errors(runs: Sequence[TrainingRun], vector: FloatArray, fold: str) -> list[TrainingError]:
    found = StackedRuns(runs).log_errors(vector)
    return [
        TrainingError(place=run.place, metric=STEP, fold=fold, log_error=float(error), widening=run.widening)
        for run, error in zip(runs, found, strict=True)
    ]


def write_training(path: Path, fit: TrainingFit, *, today: date) -> None:
    """The file as people read it."""
    bands = list(bands_of(fit.errors, fit.peaks))
    lines = [
        _HEADER.rstrip(),
        "schema_version: 1",
        f'fitted: "{today.isoformat()}"',
        f"inputs: {fit.runs} lines of config/evidence/training.jsonl whose split is calibration and that state a pace",
        "method: robust least squares on the logarithm of the step with priors (scripts/calibration/training_fit.py)",
        f'code_version: "{ENGINE_VERSION}"',
        "errors:",
        *_error_lines(judged(fit.errors), bands),
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
    yield _coefficient("recipe_factor", "*", 1.0, "the usual way of scaling")
    yield _coefficient("product_peak_fraction", "*", 0.0, "no training was measured: the rate of the kernels")
    for generation in TRAINED:
        yield _coefficient("product_peak_fraction", generation, PEAK_FRACTION, "the share that product_factor is over")
    until = "FlashAttention-2, arXiv 2307.08691"
    yield _coefficient("early_attention_until_year", "*", EARLY_ATTENTION_UNTIL_YEAR, until)
    name = "plain_attention_factor"
    yield _coefficient(name, "*", value_at(vector, name), what[name])
    for generation in OLD_ATTENTION:
        yield _coefficient(name, generation, 1.0, "FlashAttention-2 was made for it")
    yield _coefficient(
        "fused_attention_since_year", "*", FUSED_ATTENTION_SINCE_YEAR, "FlashAttention, arXiv 2205.14135"
    )
    yield _coefficient("plain_attention_until_year", "*", PLAIN_ATTENTION_UNTIL_YEAR, "PyTorch 2.9, torchtitan")
    yield _coefficient("fused_norms_since_year", "*", FUSED_NORMS_SINCE_YEAR, "PyTorch 2.9")
    for scope, year in FUSED_EXPERTS_SINCE_YEAR.items():
        yield _coefficient("fused_experts_since_year", scope, year, "Transformer Engine 2.14 and 2.18")
    for spec in TRAINING_SPECS:
        if spec.name not in _SPECIAL:
            for scope in spec.scopes:
                yield _coefficient(spec.name, scope, value_at(vector, spec.name, scope), spec.what)


def _coefficient(name: str, scope: str, value: float, source: str) -> str:
    return f'  - {{name: training.{name}, scope: "{scope}", value: {value:.6g}, source: "{source}"}}'


def _error_lines(errors: Sequence[TrainingError], bands: Sequence[Band]) -> Iterator[str]:
    """One line per way of leaving out, metric and regime; of the fit itself also per generation and precision."""
    for fold in ("fit", *FOLDS):
        for metric in (STEP, MEMORY):
            own = [e for e in errors if e.fold == fold and e.metric == metric]
            for name in REGIMES:
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
    inside = np.mean([is_inside(error, bands) for error in errors])
    left = "nothing" if fold == "fit" else fold
    median = np.median([np.median(some) for some in groups.values()])
    yield (
        f"  - {{left_out: {left}, metric: {errors[0].metric}, {name}, rows: {len(errors)}, groups: {len(groups)}, "
        f"group_median: {median:.3f}, row_median: {np.median(np.abs(ratios)):.3f}, "
        f"row_p90: {np.quantile(np.abs(ratios), 0.9):.3f}, bias: {np.median(ratios):.3f}, inside: {inside:.2f}}}"
    )
