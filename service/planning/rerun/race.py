"""A race to a published target: its steps, and what it stops for to see whether the target is met.

The clock of such a race starts when all is set up, and nothing asks for checkpoints, so that neither counts
(mlcommons/training_policies, training_rules.adoc).
"""

import math

from service.planning.rerun.run import SURE, Evaluated
from service.planning.rerun.target import references
from service.schemas.measured import MeasuredTraining
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration, Evaluations
from service.sizing.interval import Spread
from service.sizing.result import ParallelLayout
from service.sizing.training.passes import FULL_PASSES
from service.sizing.training.recipe import ADAPTER_METHODS
from service.sizing.units import DAY_S
from service.sizing.workload import Method, TrainingWorkload

_SHARE = "evidence.target_evaluation_fraction"
_START = "evidence.race_start_s"
# Frozen weights save a third of the products, which take about three quarters of a step, and of nothing else.
_ADAPTER_PASSES = 1.0 / (0.75 / 2.0 + 0.25 / 3.0)
# How far evaluating may lie from a forward pass of the step: gradients and collectives take other shares of each.
_OFF = 0.25


def is_race(run: MeasuredTraining, architecture: ModelArchitecture, calibration: Calibration) -> bool:
    """Whether a run goes on until a published target is met."""
    return run.workload.samples_to_target is not None or bool(references(run, architecture, calibration))


def race_of(run: MeasuredTraining, evaluated: Evaluated, calibration: Calibration) -> tuple[float, Spread]:
    """What a race takes over the engine's time of the whole run, and how far that may lie off; 1 of what is no race."""
    rerun = evaluated.rerun
    assert rerun.architecture is not None
    if not is_race(run, rerun.architecture, calibration):
        return 1.0, SURE
    engine_s = evaluated.metrics["time_to_train_days"].interval.p50 * DAY_S
    steps_s = engine_s * evaluated.metrics["goodput_fraction"].interval.p50
    start = calibration.assumptions[_START]
    low, middle, high = (steps_s + stop for stop in _stops_s(evaluated, calibration, steps_s=steps_s))
    whole = middle + start.value
    spread = Spread(shift=0.0, down=math.log(whole / (low + start.low)), up=math.log((high + start.high) / whole))
    return whole / engine_s, spread


def _stops_s(evaluated: Evaluated, calibration: Calibration, *, steps_s: float) -> tuple[float, float, float]:
    """Seconds of all evaluations: least, likely, most. An encoder evaluates next to nothing."""
    rerun = evaluated.rerun
    workload, architecture = rerun.workload, rerun.architecture
    assert isinstance(workload, TrainingWorkload)
    assert architecture is not None
    if architecture.encoder:
        return 0.0, 0.0, 0.0
    rule = calibration.evaluations.get((architecture.id, str(workload.method)))
    if rule is None:
        entry = calibration.assumptions[_SHARE]
        least, likely, most = (steps_s * share / (1.0 - share) for share in (entry.low, entry.value, entry.high))
        return least, likely, most
    batch = workload.global_batch_sequences or 1
    layout = (evaluated.pace or evaluated.estimate).layout
    steps = math.ceil(workload.tokens / workload.seq_len_tokens / batch)
    stop_s = steps_s / steps * evaluation_steps(rule, layout, batch_sequences=batch, method=workload.method)
    likely = stop_s * evaluations(rule, sequences=workload.tokens / workload.seq_len_tokens, batch_sequences=batch)
    return likely * (1.0 - _OFF), likely, likely * (1.0 + _OFF)


def evaluations(rule: Evaluations, *, sequences: float, batch_sequences: int) -> float:
    """How often a race of so many sequences is evaluated, its last time included; of the mean of races no whole."""
    every = math.ceil(rule.every_sequences / batch_sequences) * batch_sequences
    skipped = math.floor(rule.skipped + rule.skipped_batch_sequence * batch_sequences)
    return max(1.0, sequences / every - skipped)


def evaluation_steps(rule: Evaluations, layout: ParallelLayout, *, batch_sequences: int, method: Method) -> float:
    """Steps that one evaluation is as long as: a forward pass of as many micro-batches as hold its sequences."""
    micro = layout.dp * (layout.micro_batch or 1)
    passes = _ADAPTER_PASSES if method in ADAPTER_METHODS else FULL_PASSES
    again = (layout.recompute_fraction or 1.0) if layout.recompute == "full" else 0.0
    bubble = (layout.pp - 1) / layout.vpp
    rounds, trained = math.ceil(rule.sequences / micro), max(1.0, batch_sequences / micro)
    return (rounds + bubble) / (trained + bubble) / (passes + again)
