"""The arithmetic of the bench: percentiles of what was timed, and ratios of what was measured side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What repeated timings of one thing were like [ms]."""

    count: int
    p10: float
    p50: float
    p90: float
    p95: float


def spread_ms(seconds: Sequence[float]) -> Spread:
    """The spread of timings that were taken in seconds."""
    p10, p50, p90, p95 = (float(value) * 1e3 for value in np.percentile(seconds, [10, 50, 90, 95]))
    return Spread(count=len(seconds), p10=p10, p50=p50, p90=p90, p95=p95)


def median(values: Sequence[float]) -> float:
    """The middle value; between two of them, their mean."""
    return float(np.median(values))


def median_ratio(values: Sequence[float], limits: Sequence[float]) -> float:
    """The middle of the ratios of each round: what slows a whole round down slows both of its sides."""
    return median([value / limit for value, limit in zip(values, limits, strict=True)])
