"""Latency against load: the median as a line, the interval as a band, the bound of the service across."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.documents.labels import label, unit
from service.planning.load_curve import LoadPoint
from service.sizing.interval import Interval
from service.web.charts.axis import Axis, axis_over

WIDTH, HEIGHT = 420.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 408.0, 14.0, 196.0
# So far above the bound a curve is followed.
_FOLLOWED = 2.5
_LEAST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A point of the curve, to be read from."""

    x: float
    y: float
    requests_s: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadChart:
    """One latency against load; `line` and `band` are points of polygons."""

    name: str
    label: str
    unit: str
    x: Axis
    y: Axis
    line: str
    band: str
    spots: tuple[Spot, ...]
    bound: float | None
    bound_ms: float | None
    asked: float | None


def load_charts(
    points: Sequence[LoadPoint], *, bounds: Mapping[str, float], asked_requests_s: float | None
) -> tuple[LoadChart, ...]:
    """A chart for the wait for the first token and one for the pace of the others."""
    names = [name for start in ("ttft_p", "tpot_p") for name in (points[0].metrics if points else ()) if
             name.startswith(start)]  # fmt: skip
    return tuple(_chart(name, points, bounds.get(name), asked_requests_s) for name in names if len(points) >= _LEAST)


def _chart(name: str, points: Sequence[LoadPoint], bound: float | None, asked: float | None) -> LoadChart:
    found = [(point.requests_s, point.metrics[name]) for point in points]
    highest = max(interval.p90 for _, interval in found)
    if bound is not None:
        highest = max(bound * 1.1, min(highest, bound * _FOLLOWED))
    x = axis_over([0.0, *(load for load, _ in found), asked or 0.0], start=_LEFT, end=_RIGHT)
    y = axis_over([0.0, highest], start=_BOTTOM, end=_TOP)
    upper = [f"{x.place(load)},{y.place(interval.p90)}" for load, interval in found]
    lower = [f"{x.place(load)},{y.place(interval.p10)}" for load, interval in found]
    spots = tuple(
        Spot(x=x.place(load), y=y.place(interval.p50), requests_s=load, interval=interval) for load, interval in found
    )
    return LoadChart(
        name=name,
        label=label(name),
        unit=unit(name),
        x=x,
        y=y,
        line=" ".join(f"{spot.x},{spot.y}" for spot in spots),
        band=" ".join([*upper, *reversed(lower)]),
        spots=spots,
        bound=None if bound is None else y.place(bound),
        bound_ms=bound,
        asked=None if asked is None else x.place(asked),
    )
