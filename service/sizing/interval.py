"""Point prediction + residual quantiles -> P10/P50/P90, quantiles at any confidence, and confidence in a bound."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from service.sizing.calibration import ResidualBand
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray

# Standard normal quantile of the 90th percentile: scales a band's arm to any other confidence.
_Z90 = NormalDist().inv_cdf(0.9)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How measured scatters around predicted, on the logarithm: median shift and the two arms of the 80 % interval."""

    shift: float
    down: float
    up: float

    def quantile_factor(self, fraction: float) -> float:
        """Factor on a prediction so that `fraction` of the measurements lie below the product (split log-normal)."""
        z = NormalDist().inv_cdf(fraction)
        arm = self.up if z >= 0.0 else self.down
        return float(np.exp(self.shift + arm * z / _Z90))

    @property
    def median_factor(self) -> float:
        """Median of measured over predicted."""
        return float(np.exp(self.shift))

    def centred(self) -> "Spread":
        """The same arms around a point that carries the median already."""
        return Spread(shift=0.0, down=self.down, up=self.up)

    def over(self, least: float, point: float) -> "Spread":
        """Of a time: the arm that leads under `least`, which no time around `point` can be, is cut there."""
        room = max(0.0, self.shift + float(np.log(point / least)))
        return Spread(shift=self.shift, down=min(self.down, room), up=self.up)

    def inverted(self) -> "Spread":
        """The spread of 1/x: a rate whose time scatters like this."""
        return Spread(shift=-self.shift, down=self.up, up=self.down)


def spread_of(band: ResidualBand, *, widen: float = 1.0, floor: float = 0.0) -> Spread:
    """Arms of the band, each at least `floor` and stretched by `widen` outside the evidence."""
    return Spread(
        shift=band.q50,
        down=max(floor, band.q50 - band.q10) * widen,
        up=max(floor, band.q90 - band.q50) * widen,
    )


def combined(rate: Spread, time: Spread) -> Spread:
    """The spread of a rate that a bound on a time limits: both scatter, and what is slower allows less."""
    slower = time.inverted()
    return Spread(
        shift=rate.shift,
        down=float(np.hypot(rate.down, slower.down)),
        up=float(np.hypot(rate.up, slower.up)),
    )


def interval(point: float, spread: Spread) -> Interval:
    """P10/P50/P90 of a positive quantity around its point prediction."""
    return Interval(
        p10=point * float(np.exp(spread.shift - spread.down)),
        p50=point * float(np.exp(spread.shift)),
        p90=point * float(np.exp(spread.shift + spread.up)),
    )


def scaled(found: Interval, factor: float) -> Interval:
    """The same quantity in another unit, or shared among `1 / factor`."""
    return Interval(p10=found.p10 * factor, p50=found.p50 * factor, p90=found.p90 * factor)


def confidence_below(bound: Numeric, point: Numeric, spread: Spread) -> FloatArray:
    """Fraction of outcomes at or under `bound` when `point` is predicted (split log-normal); arrays or scalars."""
    return _confidence(
        np.asarray(bound, dtype=np.float64),
        np.asarray(point, dtype=np.float64),
        spread.shift,
        max(spread.up, 1e-12),
        max(spread.down, 1e-12),
    )


def confidences_below(each: Sequence[tuple[float, float, Spread]]) -> list[float]:
    """The same of several quantities, each a bound, a point and a spread of its own."""
    if not each:
        return []
    columns = np.array(
        [(bound, point, spread.shift, max(spread.up, 1e-12), max(spread.down, 1e-12)) for bound, point, spread in each]
    ).T
    found: list[float] = _confidence(*columns).tolist()
    return found


def _confidence(bound: FloatArray, point: FloatArray, shift: Numeric, up: Numeric, down: Numeric) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.log(bound / point) - shift
    arm = np.where(distance >= 0.0, up, down)
    known = np.where(np.isnan(distance), -np.inf, distance)
    return normal_cdf(np.minimum(8.0, np.maximum(-8.0, known / arm * _Z90)))


def normal_cdf(z: FloatArray) -> FloatArray:
    """Standard normal distribution function, absolute error < 7.5e-8 (Abramowitz and Stegun 26.2.17)."""
    x = np.abs(z)
    t = 1.0 / (1.0 + 0.2316419 * x)
    poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi) * poly
    return np.asarray(np.where(z >= 0.0, 1.0 - tail, tail), dtype=np.float64)
