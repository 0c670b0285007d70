"""The seconds per unit of work on a GPU, how sure they are, and what they follow from."""

import math
from dataclasses import dataclass

import numpy as np

from service.sizing.interval import Basis, Spread
from service.sizing.science.application import Curve, Transfer, TransferLaw
from service.sizing.table import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkSize:
    """How big an item is: the moments E[size**k] of its distribution, and the size that evidence is compared with."""

    typical: float
    largest: float
    moments: tuple[float, ...]
    # Sizes that stand for the distribution, each as likely; none where all have one size.
    slices: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCurve:
    """The rate is that of a curve of this GPU."""

    curve: Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class ByTransfer:
    """The rate is that of another GPU over a published or estimated speed-up."""

    origin: "Rate"
    transfer: Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class LawPart:
    """What one measured GPU says by the law: its rate, target over anchor of each data-sheet figure, its weight.

    A ratio is None where a figure is missing or its exponent is zero. `fixed_s` of its seconds no data sheet shortens.
    """

    rate: "Rate"
    gpu: str
    fp32_ratio: float | None
    bandwidth_ratio: float | None
    bf16_ratio: float | None
    unit_s: float
    weight_fraction: float
    fixed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ByLaw:
    """The rate is the weighted mean of the logarithms of what every measured GPU says."""

    law: TransferLaw
    parts: tuple[LawPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Seconds per unit on one GPU; `down` and `up` are the arms of the 80 % interval of ln(time)."""

    unit_s: float
    shift: float
    down: float
    up: float
    basis: Basis
    nearest: tuple[str, ...]
    how: str
    source: str
    # Whether what was timed is known to have run in other settings than are asked for.
    other_settings: bool = False
    # What it follows from; None of a roofline, which has no curve.
    origin: OnCurve | ByTransfer | ByLaw | None = None

    @property
    def spread(self) -> Spread:
        """The scatter of the time."""
        return Spread(shift=self.shift, down=self.down, up=self.up)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RateTable:
    """Rates as arrays, one row per GPU asked for; NaN where nothing is known."""

    rates: tuple[Rate | None, ...]
    unit_s: FloatArray
    shift: FloatArray
    down: FloatArray
    up: FloatArray
    # Of a step: what does not shrink with the size, and the whole at the size that efficiencies were measured at [s].
    launch_s: FloatArray | None = None
    reference_s: FloatArray | None = None


def point_size(size: float) -> WorkSize:
    """Items that all have one size."""
    return WorkSize(typical=size, largest=size, moments=tuple(size**power for power in range(4)))


def curve_s(curve: Curve, size: WorkSize) -> float:
    """Seconds per unit: sum of c_k E[size**k], or points interpolated on logarithms (ends are kept)."""
    if curve.points:
        sizes = np.log(np.array([x for x, _ in curve.points]))
        values = np.log(np.array([y for _, y in curve.points]))
        return float(np.exp(np.interp(np.log(size.typical), sizes, values)))
    total = 0.0
    for coefficient, moment in zip(curve.coefficients_s, size.moments, strict=False):
        total += coefficient * moment
    return total


def rate_table(rates: tuple[Rate | None, ...]) -> RateTable:
    """Arrays in the order of `rates`."""

    def column(name: str) -> FloatArray:
        return np.array([math.nan if r is None else float(getattr(r, name)) for r in rates], dtype=np.float64)

    return RateTable(rates=rates, unit_s=column("unit_s"), shift=column("shift"), down=column("down"), up=column("up"))
