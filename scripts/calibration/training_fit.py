"""What a training adds to its kernels, fitted on measured steps: robust least squares with priors, on the logarithm.

Priors pull factors to one and shares to what is plausible.
"""

import numpy as np
from scipy.optimize import least_squares

from scripts.calibration.stacked_trainings import StackedRuns
from scripts.calibration.training_coefficients import DEVIATIONS, LOG_MOST, START
from service.sizing.table import FloatArray

# Errors beyond about an eighth weigh by their size, no longer by its square: chosen by what is left out.
_PRIOR_WEIGHT, _LOSS_SCALE, _CLIP = 0.2, 0.12, 2.5
# How far a coefficient is moved to see what its logarithm does.
_DIFFERENCE = 1e-4


def fit_training(stacked: StackedRuns, *, steps: int) -> FloatArray:
    """The vector that fits the runs best, from the priors on, after at most `steps` evaluations."""

    def residuals_of_each(vectors: FloatArray) -> FloatArray:
        errors = np.clip(stacked.log_errors_of_each(vectors), -_CLIP, _CLIP) * stacked.weight[:, None]
        priors = (vectors - START[:, None]) / DEVIATIONS[:, None] * _PRIOR_WEIGHT
        return np.concatenate([priors, errors])

    def residuals(vector: FloatArray) -> FloatArray:
        return residuals_of_each(vector[:, None])[:, 0]

    def slopes(vector: FloatArray) -> FloatArray:
        # All at once: a small step in each coefficient, back from its bound.
        steps = np.where(vector + _DIFFERENCE > LOG_MOST, -_DIFFERENCE, _DIFFERENCE)
        moved = residuals_of_each(vector[:, None] + np.diag(steps))
        return np.asarray((moved - residuals(vector)[:, None]) / steps, dtype=np.float64)

    found = least_squares(
        residuals,
        START,
        jac=slopes,
        bounds=(np.full(START.size, -np.inf), LOG_MOST),
        loss="soft_l1",
        f_scale=_LOSS_SCALE,
        max_nfev=steps,
    )
    return np.asarray(found.x, dtype=np.float64)
