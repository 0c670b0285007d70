"""Axes: from values to places in a drawing, with marks at round values."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from service.sizing.units import KILO, MEGA
from service.web.wording import digits

_MARKS = 5
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
# From here on a number is written in thousands.
_LONG = 10 * KILO


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A value that is written at an axis, and where."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Values from `low` to `high` lie from `start` to `end` of the drawing."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies; what is beyond the ends lies at them."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Round values between the ends."""
        values = _decades(self.low, self.high) if self.logarithmic else _steps(self.low, self.high)
        return tuple(Mark(at=self.place(value), text=_short(value)) for value in values)


def axis_over(
    values: Iterable[float], *, start: float, end: float, logarithmic: bool = False, from_zero: bool = True
) -> Axis:
    """An axis that all values lie on, with a little air."""
    known = [value for value in values if math.isfinite(value)] or [1.0]
    low, high = min(known), max(known)
    if logarithmic and low > 0:
        air = max(1.15, (high / low) ** 0.05)
        return Axis(low=low / air, high=high * air, start=start, end=end, logarithmic=True)
    spread = high - low or abs(high) or 1.0
    low = min(0.0, low) if from_zero else low - 0.08 * spread
    return Axis(low=low, high=high + 0.08 * spread, start=start, end=end)


def _short(value: float) -> str:
    """A round value in few characters, so that it can be read on a small screen too: 250k; 1.5M."""
    size = abs(value)
    if size >= MEGA * KILO or size < _LONG:
        return digits(value)
    return f"{value / MEGA:.4g}M" if size >= MEGA else f"{value / KILO:.4g}k"


def _steps(low: float, high: float) -> list[float]:
    rough = (high - low) / _MARKS
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * decade for nice in _ROUND if nice * decade >= rough)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    wide = math.log10(high / low) > 3
    found = [
        nice * 10.0**decade
        for decade in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for nice in ((1.0,) if wide else (1.0, 2.0, 5.0))
    ]
    return [value for value in found if low <= value <= high]
