"""Predicted against measured: a point for each published figure, on the line where both are one."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.schemas.accuracy import AccuracyPoint
from service.web.charts.axis import Axis, axis_over

WIDTH, HEIGHT = 640.0, 460.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 620.0, 16.0, 410.0
# With more of them the intervals would hide the points.
_MOST_INTERVALS = 160
MOST_DOTS = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterDot:
    """One figure; `inside` tells whether it was measured inside the interval."""

    point: AccuracyPoint
    x: float
    y: float
    low: float
    high: float
    inside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterChart:
    """The chart; the line goes from corner to corner, because both axes are the same."""

    x: Axis
    y: Axis
    dots: tuple[ScatterDot, ...]
    intervals: bool
    left_out: int


def scatter_chart(points: Sequence[AccuracyPoint]) -> ScatterChart | None:
    """The chart of points of one metric; None where none of them has both figures."""
    both = [
        (point, point.measured, point.predicted)
        for point in points
        if point.measured is not None and point.measured > 0 and point.predicted is not None and point.predicted.p10 > 0
    ]
    if not both:
        return None
    # Every n-th, so that what is drawn is spread over all sources.
    step = max(1, -(-len(both) // MOST_DOTS))
    drawn = both[::step]
    values = [value for _, measured, predicted in drawn for value in (measured, predicted.p50)]
    x = axis_over(values, start=_LEFT, end=_RIGHT, logarithmic=True)
    y = axis_over(values, start=_BOTTOM, end=_TOP, logarithmic=True)
    dots = tuple(
        ScatterDot(
            point=point,
            x=x.place(measured),
            y=y.place(predicted.p50),
            low=y.place(predicted.p10),
            high=y.place(predicted.p90),
            inside=predicted.p10 <= measured <= predicted.p90,
        )
        for point, measured, predicted in drawn
    )
    return ScatterChart(x=x, y=y, dots=dots, intervals=len(dots) <= _MOST_INTERVALS, left_out=len(both) - len(drawn))
