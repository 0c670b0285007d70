"""What the data sheet allows at most: no item is shorter, neither its median nor the fast end of its interval."""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.science.job import Job
from service.sizing.science.trained import Trained
from service.sizing.table import BoolArray, FloatArray, HardwareTable
from service.sizing.training.rates import best_product_fraction

# FLOP of one token in training: 2 forward and 4 backward per parameter.
FLOP_PARAM_TOKEN = 6.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounded:
    """Seconds of an item and the fast arm of ln(time), within the bound [s]; whether the arm was cut there."""

    item_s: FloatArray
    down: FloatArray
    least_s: FloatArray
    cut: BoolArray


def bounded(item_s: FloatArray, *, shift: FloatArray, down: FloatArray, least_s: FloatArray) -> Bounded:
    """No item is shorter than the data sheet allows: neither its median nor the fast end of its interval."""
    least_s = np.nan_to_num(least_s)
    median_s = np.maximum(item_s * np.exp(shift), least_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(least_s > 0.0, np.log(median_s / least_s), np.inf)
    return Bounded(
        item_s=median_s / np.exp(shift), down=np.minimum(down, room), least_s=least_s, cut=np.asarray(down > room)
    )


def least_training_s(job: Job, trained: Trained, *, table: HardwareTable, calibration: Calibration) -> FloatArray:
    """Seconds in which all FLOP of the training would run as the best products that were measured on the GPU."""
    compute = trained.job.recipe.compute
    parameters = job.units_item * trained.job.shape.total_params
    best = np.array([best_product_fraction(calibration.curves, gpu.id, compute) for gpu in table.gpus])
    flop_s = (best * table.flop_s[compute])[trained.server] * trained.gpus
    return np.asarray(FLOP_PARAM_TOKEN * parameters * trained.job.workload.tokens / flop_s, dtype=np.float64)
