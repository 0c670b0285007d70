"""How long a race to a published target is: what it says, what references took, and the rule of its scores."""

import math

import numpy as np

from service.schemas.measured import MeasuredTraining
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration, Target
from service.sizing.interval import Spread
from service.sizing.workload import Method


def references(run: MeasuredTraining, architecture: ModelArchitecture, calibration: Calibration) -> tuple[Target, ...]:
    """What references of the run's model and method took, batches ascending; none of one that is no such race."""
    return calibration.targets.get((architecture.id, str(run.workload.method or Method.PRETRAIN)), ())


def reference_targets(
    run: MeasuredTraining, architecture: ModelArchitecture, calibration: Calibration
) -> tuple[Target, ...]:
    """The references of a run that does not say how long it is; none of one that does."""
    return () if run.workload.samples_to_target is not None else references(run, architecture, calibration)


def sequences_to_target(targets: tuple[Target, ...], batch_sequences: int) -> float:
    """Sequences to the target at a global batch: as its reference took; without one the least that is scored."""
    for target in targets:
        if target.batch_sequences == batch_sequences:
            return float(target.sequences)
    return scored_sequences(targets, batch_sequences)


def scored_sequences(targets: tuple[Target, ...], batch_sequences: int) -> float:
    """The fewest sequences that a time is scored with: of who took fewer, times are scaled up to these.

    Between two references in proportion to the batch, beyond them as the last took. References that take more than
    their neighbours say, and those of batches smaller than that of the fastest, count for nothing (mlcommons/logging,
    mlperf_logging/rcp_checker, which compares the least means that pass; here the means themselves).
    """
    kept = _pruned(targets)
    batches = [float(target.batch_sequences) for target in kept]
    return float(np.interp(batch_sequences, batches, [float(target.sequences) for target in kept]))


def _pruned(targets: tuple[Target, ...]) -> list[Target]:
    fastest = min(targets, key=lambda target: target.sequences)
    kept = [target for target in targets if target.batch_sequences >= fastest.batch_sequences]
    place = 1
    # One pass, as the rule's own: what is taken out does not send it back.
    while place < len(kept) - 1:
        before, here, after = kept[place - 1 : place + 2]
        batches = [float(before.batch_sequences), float(after.batch_sequences)]
        line = np.interp(here.batch_sequences, batches, [float(before.sequences), float(after.sequences)])
        if here.sequences > line:
            del kept[place]
        else:
            place += 1
    return kept


def target_spread(targets: tuple[Target, ...]) -> Spread:
    """How far the least and the most of the repeated runs lie from their mean."""
    return Spread(
        shift=0.0,
        down=float(np.mean([math.log(target.sequences / target.low) for target in targets])),
        up=float(np.mean([math.log(target.high / target.sequences) for target in targets])),
    )
