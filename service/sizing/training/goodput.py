"""What failures, checkpoints and evaluation leave of the hours of a training run; arrays or scalars.

Source of the loss terms: Young 1974 (CACM 17-9) and Daly 2006 (FGCS 22-3) on checkpoint intervals.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray, IntArray
from service.sizing.units import GB_S, HOUR_S, MINUTE_S

# Half of the runs that expect this many failures see none.
_LN2 = 0.6931471805599453


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Judgement of config/assumptions.yaml on failures, restarts, checkpoints and evaluation."""

    gpu_hours_per_failure: float
    restart_s: float
    stall_fraction: float
    write_bytes_s_most: float
    evaluation_fraction: float

    def write_s(self, checkpoint_bytes: float, *, interval_s: float, storage_bytes_s: float | None) -> float:
        """Seconds that a checkpoint takes to write, or to read back.

        At the rate of the storage where it is stated; else the storage is sized so that it takes its share of the
        interval, up to what one file system can do.
        """
        if storage_bytes_s is not None:
            return checkpoint_bytes / storage_bytes_s
        return max(self.stall_fraction * interval_s, checkpoint_bytes / self.write_bytes_s_most)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Goodput:
    """Share of the hours that make progress, and the times behind it [s]."""

    fraction: FloatArray
    failure_interval_s: FloatArray
    checkpoint_write_s: Numeric
    best_interval_s: FloatArray


def reliability_of(calibration: Calibration) -> Reliability:
    """The entries that the losses rest on."""
    get = calibration.assumption
    return Reliability(
        gpu_hours_per_failure=get("training.failure_interval_gpu_h"),
        restart_s=get("training.restart_min") * MINUTE_S,
        stall_fraction=get("training.checkpoint_stall_fraction"),
        write_bytes_s_most=get("training.checkpoint_write_most_gb_s") * GB_S,
        evaluation_fraction=get("training.evaluation_fraction"),
    )


def goodput(
    gpus: IntArray, *, write_s: Numeric, interval_s: Numeric, productive_s: FloatArray, reliability: Reliability
) -> Goodput:
    """Progress per hour: (1 - evaluation) / (1 + write/interval + failures (interval/2 + restart + read) / run).

    A failure loses half an interval, or half of a run that is shorter, then the restart and reading the checkpoint
    back at the same rate. A run that ends within its first interval writes once. `productive_s` is the run without
    losses.
    """
    failure_interval_s = reliability.gpu_hours_per_failure * HOUR_S / gpus
    between_s = np.minimum(interval_s, productive_s)
    failures = _median_failures(productive_s / failure_interval_s)
    lost = write_s / interval_s + failures * (between_s / 2.0 + reliability.restart_s + write_s) / productive_s
    return Goodput(
        fraction=np.asarray((1.0 - reliability.evaluation_fraction) / (1.0 + lost), dtype=np.float64),
        failure_interval_s=np.asarray(failure_interval_s, dtype=np.float64),
        checkpoint_write_s=write_s,
        best_interval_s=np.asarray(np.sqrt(2.0 * write_s * failure_interval_s), dtype=np.float64),
    )


def _median_failures(expected: FloatArray) -> FloatArray:
    """The failures that half of such runs do not exceed: none in a short run, what is expected in a long one."""
    return np.asarray(np.maximum(0.0, expected - _LN2 * np.exp(-expected)), dtype=np.float64)
