"""Point prediction + residual quantiles -> P10/P50/P90, and whether a point lies inside the evidence."""

from dataclasses import dataclass
from enum import StrEnum


class Basis(StrEnum):
    """How an option's speed is known."""

    MEASURED = "measured"
    CALIBRATED = "calibrated"
    EXTRAPOLATED = "extrapolated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An 80 % interval with its median, in the unit that the metric's name says; p10 <= p50 <= p90."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A predicted quantity. `name` ends in its unit."""

    name: str
    interval: Interval
    basis: Basis
    nearest: tuple[str, ...] = ()
