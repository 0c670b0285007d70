"""Arithmetic and memory traffic become time: a roofline; arrays or scalars."""

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray


def roofline_s(*, flop: Numeric, moved_bytes: Numeric, flop_s: Numeric, bytes_s: Numeric) -> FloatArray:
    """Time [s] of an operation bound by arithmetic or by memory: max(FLOP / rate, bytes / rate).

    `flop_s` and `bytes_s` are what the hardware sustains, efficiencies included. Source: Williams, Waterman, Patterson
    2009, "Roofline: an insightful visual performance model" (CACM 52-4).
    """
    return np.maximum(flop / flop_s, moved_bytes / bytes_s)
