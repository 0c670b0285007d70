"""An interval as a small bar: where its ends and its median lie, and the bound that it has to keep."""

from dataclasses import dataclass

from service.sizing.interval import Interval

LENGTH = 120.0
# Air beyond the end of whatever is drawn.
_AIR = 1.12


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalBar:
    """Places along a bar of LENGTH, and whether the whole interval keeps the bound; None without a bound."""

    low: float
    middle: float
    high: float
    bound: float | None
    keeps: bool | None

    @property
    def width(self) -> float:
        """From end to end; a little where both are one."""
        return max(2.0, self.high - self.low)


def interval_bar(interval: Interval, *, bound: float | None = None, at_least: bool = False) -> IntervalBar:
    """The bar of an interval; `bound` is the most that it may be, or the least."""
    longest = max(interval.p90, bound or 0.0) * _AIR or 1.0
    scale = LENGTH / longest
    keeps = None
    if bound is not None:
        keeps = interval.p10 >= bound if at_least else interval.p90 <= bound
    return IntervalBar(
        low=round(interval.p10 * scale, 2),
        middle=round(interval.p50 * scale, 2),
        high=round(interval.p90 * scale, 2),
        bound=None if bound is None else round(bound * scale, 2),
        keeps=keeps,
    )
