"""What a training that leaves choices open may have chosen instead, and how far peak and pace move with that."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import product

from service.errors import PlannerError
from service.planning.rerun import unpublished
from service.planning.rerun.run import SURE, Evaluated, Rerun, together
from service.schemas.measured import MeasuredTraining
from service.sizing.interval import Metric, Spread
from service.sizing.operation import CurveBook
from service.sizing.training.recipe import ADAPTER_METHODS
from service.sizing.workload import Optimizer, Recompute, Sharding, TrainingWorkload

_BOUNDS = (Recompute.NONE, Recompute.FULL)


def with_choices(
    run: MeasuredTraining, evaluated: Evaluated, *, curves: CurveBook, evaluate: Callable[[Rerun], Evaluated]
) -> Evaluated:
    """The answer with the arms that its open choices add: each alternative that somebody could have run counts.

    `evaluate` answers for an alternative as the run itself was answered; `curves` know what power binds a GPU.
    """
    found = [evaluated]
    for rerun in _alternatives(run, evaluated.rerun):
        try:
            found.append(evaluate(rerun))
        except PlannerError:
            continue
    ran = [one for one in found if one is evaluated or one.estimate.fits]
    peaks = [_middle(one.estimate.metrics, "allocated_memory_gb") for one in ran]
    if unpublished.tunes_by_default(run):
        peaks += [peak - _logits_gb(one) for one, peak in zip(ran, peaks, strict=True)]
    return replace(
        evaluated,
        open_peak=_spread(peaks),
        open_pace=together(
            _spread([_middle((one.pace or one.estimate).metrics, "step_time_s") for one in ran]),
            _power_spread(curves, evaluated.rerun.deployment.gpu),
        ),
    )


def _power_spread(curves: CurveBook, gpu: str) -> Spread:
    """How much longer and shorter a step may be on a GPU that is held to a power which nobody says."""
    kin = curves.kin.get(gpu)
    if kin is None or kin.rate_low is None or kin.rate_high is None:
        return SURE
    down, up = math.log(kin.rate_high / kin.rate_fraction), math.log(kin.rate_fraction / kin.rate_low)
    return Spread(shift=0.0, down=down, up=up)


def _logits_gb(evaluated: Evaluated) -> float:
    """What losses in chunks, which tools offer, never hold (Hsu et al. 2024, arXiv 2410.10989)."""
    return sum(part.gb for part in evaluated.estimate.memory_gb_gpu if part.part == "logits")


def _alternatives(run: MeasuredTraining, rerun: Rerun) -> Iterator[Rerun]:
    """Tuning as its tools come leaves recompute, sharding and optimizer open; of a plain stack's selective recompute
    nobody says what it makes again.
    """
    workload, deployment = rerun.workload, rerun.deployment
    assert isinstance(workload, TrainingWorkload)
    if unpublished.tunes_by_default(run):
        for recompute, sharding, optimizer in product(_BOUNDS, _shardings(rerun), _optimizers(workload)):
            changed = replace(deployment, recompute=recompute, sharding=sharding)
            yield replace(rerun, deployment=changed, workload=replace(workload, optimizer=optimizer))
    elif deployment.plain_stack and deployment.recompute is Recompute.SELECTIVE:
        for recompute in _BOUNDS:
            yield replace(rerun, deployment=replace(deployment, recompute=recompute))


def _shardings(rerun: Rerun) -> tuple[Sharding | None, ...]:
    said = rerun.deployment.sharding
    return (said,) if said is not None or rerun.deployment.gpus == 1 else (Sharding.ZERO1, Sharding.ZERO3)


def _optimizers(workload: TrainingWorkload) -> tuple[Optimizer, ...]:
    """Of adapters the optimizer is next to nothing."""
    taken = workload.optimizer
    if workload.method in ADAPTER_METHODS:
        return (taken,)
    others = (Optimizer.ADAMW_FP32, Optimizer.ADAMW_8BIT, Optimizer.ADAMW_8BIT_PAGED, Optimizer.ADAMW_HOST)
    return (taken, *(one for one in others if one is not taken))


def _middle(metrics: Iterable[Metric], name: str) -> float:
    return next(metric.interval.p50 for metric in metrics if metric.name == name)


def _spread(values: list[float]) -> Spread:
    """From the first to the least and to the most of all."""
    return Spread(shift=0.0, down=math.log(values[0] / min(values)), up=math.log(max(values) / values[0]))
