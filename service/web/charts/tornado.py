"""Sensitivity as a tornado: how far the answer moves when one assumption moves between its bounds."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.documents.labels import assumption_name
from service.sizing.result import Sensitivity
from service.web.charts.axis import Axis, axis_over

WIDTH = 640.0
_LEFT, _RIGHT = 20.0, 620.0
# A label, and the bar under it.
ROW = 46.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TornadoBar:
    """One assumption: where its bar begins and ends."""

    label: str
    sensitivity: Sensitivity
    y: float
    x: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TornadoChart:
    """All assumptions of one metric, those that matter most first; `now` is where the answer that `stands` is drawn."""

    metric: str
    bars: tuple[TornadoBar, ...]
    axis: Axis
    now: float | None
    stands: float | None
    height: float


def tornado_charts(found: Sequence[Sensitivity], *, now: dict[str, float]) -> tuple[TornadoChart, ...]:
    """One chart for each metric that anything moves."""
    metrics = dict.fromkeys(one.metric for one in found)
    return tuple(_chart(metric, [one for one in found if one.metric == metric], now.get(metric)) for metric in metrics)


def _chart(metric: str, found: list[Sensitivity], now: float | None) -> TornadoChart:
    ordered = sorted(found, key=lambda one: -abs(one.at_high - one.at_low))
    values = [value for one in ordered for value in (one.at_low, one.at_high)]
    axis = axis_over([*values, *([] if now is None else [now])], start=_LEFT, end=_RIGHT, from_zero=False)
    bars = []
    for place, one in enumerate(ordered):
        ends = sorted((axis.place(one.at_low), axis.place(one.at_high)))
        bars.append(
            TornadoBar(
                label=assumption_name(one.assumption),
                sensitivity=one,
                y=place * ROW + 22.0,
                x=ends[0],
                width=max(round(ends[1] - ends[0], 1), 2.0),
            )
        )
    return TornadoChart(
        metric=metric,
        bars=tuple(bars),
        axis=axis,
        now=None if now is None else axis.place(now),
        stands=now,
        height=len(bars) * ROW + 34.0,
    )
