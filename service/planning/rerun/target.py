"""How long a race to a published target is, where a run says neither its samples nor its tokens."""

import math

import numpy as np

from service.schemas.measured import MeasuredTraining
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration, Target
from service.sizing.interval import Spread
from service.sizing.workload import Method


def reference_targets(
    run: MeasuredTraining, architecture: ModelArchitecture, calibration: Calibration
) -> tuple[Target, ...]:
    """What references of the run's model and method took, batches ascending; none where it says how long it is."""
    if run.workload.samples_to_target is not None:
        return ()
    return calibration.targets.get((architecture.id, str(run.workload.method or Method.PRETRAIN)), ())


def sequences_to_target(targets: tuple[Target, ...], batch_sequences: int) -> float:
    """Sequences to the target at a global batch: between two references by their logarithms, beyond them the last."""
    batches = np.log([target.batch_sequences for target in targets])
    taken = np.log([target.sequences for target in targets])
    return float(np.exp(np.interp(math.log(batch_sequences), batches, taken)))


def target_spread(targets: tuple[Target, ...]) -> Spread:
    """How far the least and the most of the repeated runs lie from their mean."""
    return Spread(
        shift=0.0,
        down=float(np.mean([math.log(target.sequences / target.low) for target in targets])),
        up=float(np.mean([math.log(target.high / target.sequences) for target in targets])),
    )
