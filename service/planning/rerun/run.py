"""Rerun: a published run put as a question to the engine, with every default that it took on the way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.sizing.architecture import ModelArchitecture
from service.sizing.interval import Interval, Metric, Spread
from service.sizing.result import Estimate
from service.sizing.science.application import Application
from service.sizing.workload import Deployment, Workload

SURE = Spread(shift=0.0, down=0.0, up=0.0)
"""What nothing is open about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """A field that was not published, and what was taken.

    `widens`: most runs say it, so the residuals of the engine know nothing of its absence. `of`: the metrics that rest
    on it; None is all.
    """

    field: str
    value: object
    widens: bool = True
    of: frozenset[str] | None = None

    @property
    def word(self) -> str:
        """As `assumed` says it."""
        return f"{self.field}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What the engine is asked, and what was assumed to be able to ask it."""

    workload: Workload
    deployment: Deployment
    architecture: ModelArchitecture | None = None
    application: Application | None = None
    defaults: tuple[Default, ...] = ()

    def with_default(
        self, field: str, value: object, *, widens: bool = True, of: frozenset[str] | None = None
    ) -> "Rerun":
        """The same with one more thing that was taken."""
        return replace(self, defaults=(*self.defaults, Default(field=field, value=value, widens=widens, of=of)))

    def defaults_of(self, metric: str) -> tuple[Default, ...]:
        """What this metric rests on."""
        return tuple(default for default in self.defaults if default.of is None or metric in default.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A rerun as the engine could take it, and its answer.

    `pace` is the answer for a typical sequence where the longest one, which sets the peak of memory, is another.
    """

    rerun: Rerun
    estimate: Estimate
    pace: Estimate | None = None
    # What a whole run takes over the engine's answer: a race to a target stops often to see whether it is met.
    whole_run_factor: float = 1.0
    # How far the length of the whole run may lie from what was taken, and peak and pace where choices are open.
    length: Spread = SURE
    # What GPU hours are published of: a whole training where the time is that of a race which nobody said it was.
    training_factor: float | None = None
    training_length: Spread = SURE
    open_peak: Spread = SURE
    open_pace: Spread = SURE

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The engine's own metrics by name."""
        return {metric.name: metric for metric in (self.pace or self.estimate).metrics}


def times(metric: Metric, factor: float) -> Metric:
    """The same quantity in another unit, or shared among `1 / factor`."""
    found = metric.interval
    scaled = Interval(p10=found.p10 * factor, p50=found.p50 * factor, p90=found.p90 * factor)
    return replace(metric, interval=scaled)


def spread_too(metric: Metric, other: Spread) -> Metric:
    """The same quantity times one that scatters on its own: the arms of both, at right angles on the logarithm."""
    found = metric.interval
    down = math.hypot(math.log(found.p50 / found.p10), other.down)
    up = math.hypot(math.log(found.p90 / found.p50), other.up)
    interval = Interval(p10=found.p50 * math.exp(-down), p50=found.p50, p90=found.p50 * math.exp(up))
    return replace(metric, interval=interval)


def together(one: Spread, other: Spread) -> Spread:
    """Two spreads at right angles."""
    return Spread(shift=0.0, down=math.hypot(one.down, other.down), up=math.hypot(one.up, other.up))


def widened(metric: Metric, factor: float) -> Metric:
    """The arms of the interval stretched on the logarithm."""
    found = metric.interval
    if factor == 1.0 or found.p50 <= 0.0:
        return metric
    p10 = found.p50 * (found.p10 / found.p50) ** factor
    p90 = found.p50 * (found.p90 / found.p50) ** factor
    return replace(metric, interval=Interval(p10=p10, p50=found.p50, p90=p90))
