"""Predicted beside measured: one published run -> what the engine says of each metric that was measured."""

import math
from dataclasses import dataclass

from service.catalog.catalog import Catalog
from service.errors import PlannerError, UnknownReferenceError
from service.planning.rerun.inference import evaluate_inference, inference_metrics
from service.planning.rerun.run import Evaluated, Rerun, widened
from service.planning.rerun.science import evaluate_science, science_metrics
from service.planning.rerun.training import evaluate_training, training_metrics
from service.schemas.measured import (
    MeasuredInference,
    MeasuredRun,
    MeasuredScience,
    MeasuredTraining,
    Refused,
    RefusedLine,
)
from service.sizing.calibration import Calibration
from service.sizing.interval import Basis, Interval, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One metric of one run. Without an interval `refused` says why; `fits` is None where nothing was evaluated."""

    metric: str | None
    interval: Interval | None = None
    basis: Basis | None = None
    fits: bool | None = None
    refused: Refused | None = None
    assumed: tuple[str, ...] = ()


def predict(catalog: Catalog, line: MeasuredRun | RefusedLine) -> tuple[Prediction, ...]:
    """What the engine says of every metric that the line names, in its order; of a line without any, one refusal.

    Only the names of `measured` are read. A prediction is given whether the run fits in memory or not.
    """
    names = tuple(str(name) for name in line.measured)
    if isinstance(line, RefusedLine):
        return _refused(names, line.refused)
    try:
        evaluated, metrics = _evaluated(catalog, line)
    except PlannerError as error:
        return _refused(names, _reason(catalog, error))
    return tuple(_prediction(catalog, line, evaluated, name=name, metric=metrics.get(name)) for name in names)


def _evaluated(catalog: Catalog, run: MeasuredRun) -> tuple[Evaluated, dict[str, Metric]]:
    if isinstance(run, MeasuredInference):
        evaluated = evaluate_inference(catalog, run)
        return evaluated, dict(inference_metrics(evaluated))
    if isinstance(run, MeasuredTraining):
        evaluated = evaluate_training(catalog, run)
        return evaluated, dict(training_metrics(run, evaluated))
    assert isinstance(run, MeasuredScience)
    evaluated = evaluate_science(catalog, run)
    return evaluated, dict(science_metrics(run, evaluated))


def _prediction(
    catalog: Catalog, run: MeasuredRun, evaluated: Evaluated, *, name: str, metric: Metric | None
) -> Prediction:
    fits = evaluated.estimate.fits
    if metric is None:
        return Prediction(metric=name, fits=fits, refused=Refused.UNSUPPORTED_METRIC)
    defaults = evaluated.rerun.defaults_of(name)
    found = widened(metric, widening_of(catalog.calibration, evaluated.rerun, name))
    if not all(math.isfinite(value) for value in (found.interval.p10, found.interval.p50, found.interval.p90)):
        return Prediction(metric=name, fits=fits, refused=Refused.UNSUPPORTED_METRIC)
    unreadable = tuple(f"{field} unreadable" for field in run.unreadable)
    return Prediction(
        metric=name,
        interval=found.interval,
        basis=found.basis,
        fits=fits,
        assumed=(*unreadable, *(default.word for default in defaults)),
    )


def widening_of(calibration: Calibration, rerun: Rerun, metric: str) -> float:
    """By what the arms of an interval are stretched for the fields that most runs state and this one does not."""
    missing = sum(default.widens for default in rerun.defaults_of(metric))
    get = calibration.assumption
    return min(get("evidence.most_widening_factor"), get("evidence.unpublished_widening_factor") ** missing)


def _refused(names: tuple[str, ...], reason: Refused) -> tuple[Prediction, ...]:
    return tuple(Prediction(metric=name, refused=reason) for name in names or (None,))


def _reason(catalog: Catalog, error: PlannerError) -> Refused:
    """Which part of the line the engine could not take."""
    wrong = error.detail.errors[0] if error.detail.errors else None
    field = "" if wrong is None else wrong.field
    if field in {"workload.model", "workload.application"}:
        known = wrong is not None and wrong.value in catalog.models
        if isinstance(error, UnknownReferenceError) or known:
            return Refused.UNKNOWN_MODEL
        return Refused.OUT_OF_SCOPE if field == "workload.model" else Refused.UNSUPPORTED_METRIC
    if field == "deployment.gpu":
        return Refused.UNKNOWN_GPU
    return Refused.UNSUPPORTED_METRIC
