"""Arithmetic and memory traffic become time: a roofline with efficiency curves; arrays or scalars."""

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray


def saturating_efficiency(work: Numeric, *, peak: Numeric, half: Numeric) -> FloatArray:
    """Share of the dense peak that an operation of size `work` reaches: peak x work / (work + half).

    `work` and `half` are in the same unit (tokens, or FLOP per GPU); half of `peak` is reached at `work == half`.
    """
    return np.asarray(peak * work / (work + half), dtype=np.float64)


def roofline_s(*, flop: Numeric, moved_bytes: Numeric, flop_s: Numeric, bytes_s: Numeric) -> FloatArray:
    """Time [s] of an operation bound by arithmetic or by memory: max(FLOP / rate, bytes / rate).

    `flop_s` and `bytes_s` are what the hardware sustains, efficiencies included. Source: Williams, Waterman, Patterson
    2009, "Roofline: an insightful visual performance model" (CACM 52-4).
    """
    return np.maximum(flop / flop_s, moved_bytes / bytes_s)


def smooth_roofline_s(
    *, flop: Numeric, moved_bytes: Numeric, flop_s: Numeric, bytes_s: Numeric, order: float
) -> FloatArray:
    """Roofline [s] with imperfect overlap of arithmetic and traffic: the p-norm of both times; order 1 = no overlap."""
    arithmetic = flop / flop_s
    traffic = moved_bytes / bytes_s
    return np.asarray((arithmetic**order + traffic**order) ** (1.0 / order), dtype=np.float64)
