"""Cost against speed: every option that has a price, and the line of those that no other beats in everything."""

from dataclasses import dataclass

from service.documents.labels import label, unit
from service.sizing.kind import Kind
from service.sizing.result import SizingOption
from service.web.answer import AnswerView, OptionRow
from service.web.charts.axis import Axis, axis_over

WIDTH, HEIGHT = 640.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 620.0, 16.0, 252.0
# What speed is, of each kind: the first that an option has.
_SPEEDS = {
    Kind.INFERENCE.value: ("tokens_s_user", "tokens_s_gpu"),
    Kind.TRAINING.value: ("time_to_train_days", "tokens_s"),
}
# Where one costs so many times another, those that cost little would lie upon each other on a scale of equal steps.
_MANY_TIMES = 5.0
_LESS_IS_MORE = ("time_to_train_days", "elapsed_days", "elapsed_s", "wall_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """An option in the chart."""

    row: OptionRow
    x: float
    y: float
    speed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoChart:
    """The chart; `front` are the points of the line."""

    x: Axis
    y: Axis
    dots: tuple[Dot, ...]
    front: str
    speed_name: str
    speed_label: str
    speed_unit: str
    less_is_more: bool

    @property
    def others(self) -> bool:
        """Whether there are options that others beat in everything."""
        return any(not dot.row.on_front for dot in self.dots)


def pareto_chart(answer: AnswerView) -> ParetoChart | None:
    """The chart; None where fewer than two options have a price."""
    rows = [row for row in answer.rows if row.total_usd is not None]
    name = _speed_name(answer.priced.result.kind, rows[0].option) if rows else None
    if name is None or len(rows) < 2:
        return None
    found = [(row, float(row.total_usd or 0), _speed(row.option, name)) for row in rows]
    costs = [cost for _, cost, _ in found]
    far_apart = max(costs) > _MANY_TIMES * min(costs)
    x = axis_over(costs, start=_LEFT, end=_RIGHT, logarithmic=far_apart, from_zero=False)
    y = axis_over((speed for _, _, speed in found), start=_BOTTOM, end=_TOP, from_zero=False)
    dots = tuple(Dot(row=row, x=x.place(cost), y=y.place(speed), speed=speed) for row, cost, speed in found)
    on_front = sorted((dot.x, dot.y) for dot in dots if dot.row.on_front)
    return ParetoChart(
        x=x,
        y=y,
        dots=tuple(reversed(dots)),
        front=" ".join(f"{place[0]},{place[1]}" for place in on_front),
        speed_name=name,
        speed_label=label(name),
        speed_unit=unit(name),
        less_is_more=name in _LESS_IS_MORE,
    )


def _speed_name(kind: str, option: SizingOption) -> str | None:
    names = [metric.name for metric in option.metrics]
    wanted = [name for name in _SPEEDS.get(kind, ()) if name in names]
    paced = [name for name in names if name.endswith("_day")]
    return next(iter([*wanted, *paced, *names]), None)


def _speed(option: SizingOption, name: str) -> float:
    return next((metric.interval.p50 for metric in option.metrics if metric.name == name), 0.0)
