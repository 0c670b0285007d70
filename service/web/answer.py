"""An answer as the pages show it: the sentence, the figures with their intervals, the options beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from service.documents.labels import label
from service.quoting.indicative import IndicativeCost, PricedResult
from service.sizing.hardware import Hardware
from service.sizing.inference.traffic import decodes
from service.sizing.interval import Metric
from service.sizing.result import Quantity, SizingOption
from service.sizing.workload import InferenceWorkload, Question, TrainingWorkload, Workload
from service.web import sentence
from service.web.charts.interval_bar import IntervalBar, interval_bar

# What is shown first of each kind; every other figure stands further down.
_FIRST = (
    "ttft_p", "tpot_p", "capacity_requests_s", "time_to_train_days", "targets_day", "ns_day", "elapsed_days",
    "genomes_day", "forecasts_day", "ligands_day", "designs_day", "tokens_s_gpu", "mfu", "peak_memory_gb", "tokens_s",
    "steps_s", "wall_s",
)  # fmt: skip
_MOST_FIRST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One metric with its words and its bar."""

    label: str
    metric: Metric
    bar: IntervalBar


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRow:
    """An option with its cost, its names and its figures; `on_front` where no other beats it in everything."""

    option: SizingOption
    cost: IndicativeCost | None
    server: str
    gpu: str
    first: tuple[Figure, ...]
    others: tuple[Figure, ...]
    on_front: bool

    @property
    def requirements(self) -> tuple[Quantity, ...]:
        """What hosts, disks and alignments must bring, as far as it is known."""
        return tuple(one for one in self.option.requirements if one.value is not None)

    @property
    def total_usd(self) -> Decimal | None:
        """What it comes to, where the server has a price."""
        return None if self.cost is None else self.cost.total_usd

    @property
    def lacks_servers(self) -> bool:
        """Whether the sum is without servers that the work takes; where there is no sum, that is told already."""
        return self.cost is not None and self.cost.total_usd is not None and not self.cost.complete


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """All that a page says of an answer."""

    headline: str
    question: Question
    priced: PricedResult
    rows: tuple[OptionRow, ...]
    goal: str
    limits: tuple[str, ...]

    @property
    def best(self) -> OptionRow | None:
        """The recommended option."""
        return self.rows[0] if self.rows else None


def answer_view(question: Question, priced: PricedResult, hardware: Hardware) -> AnswerView:
    """The answer, ready to be shown."""
    costs = {cost.rank: cost for cost in priced.costs}
    kept = bounds(question.workload)
    rows = tuple(
        _row(option, costs.get(option.rank), hardware, kept=kept, on_front=option.rank in priced.result.pareto)
        for option in priced.result.options
    )
    return AnswerView(
        headline=sentence.headline(question, priced, hardware),
        question=question,
        priced=priced,
        rows=rows,
        goal=sentence.goal_of(question.workload),
        limits=sentence.limits_of(question.constraints),
    )


def bounds(workload: Workload) -> Mapping[str, float]:
    """The most that a metric may be, by name, as far as the workload says."""
    if isinstance(workload, InferenceWorkload) and workload.slo is not None:
        slo = workload.slo
        share = f"p{slo.percentile:g}"
        stated = {f"ttft_{share}_ms": slo.ttft_ms, f"tpot_{share}_ms": slo.tpot_ms if decodes(workload) else None}
        return {name: value for name, value in stated.items() if value is not None}
    if isinstance(workload, TrainingWorkload) and workload.target.deadline_days is not None:
        return {"time_to_train_days": workload.target.deadline_days}
    deadline = getattr(getattr(workload, "target", None), "deadline_days", None)
    return {} if deadline is None else {"elapsed_days": deadline}


def _row(
    option: SizingOption,
    cost: IndicativeCost | None,
    hardware: Hardware,
    *,
    kept: Mapping[str, float],
    on_front: bool,
) -> OptionRow:
    figures = {
        metric.name: Figure(
            label=label(metric.name),
            metric=metric,
            bar=interval_bar(metric.interval, bound=kept.get(metric.name)),
        )
        for metric in option.metrics
    }
    chosen = [name for start in _FIRST for name in figures if name.startswith(start)]
    first = tuple(dict.fromkeys(chosen))[:_MOST_FIRST]
    return OptionRow(
        option=option,
        cost=cost,
        server=sentence.server_name(option.server_name),
        gpu=sentence.gpu_name(hardware, option.gpu),
        first=tuple(figures[name] for name in first),
        # An answer that was stored has its metrics by name, a new one as they were computed: pages show both alike.
        others=tuple(figures[name] for name in sorted(figures) if name not in first),
        on_front=on_front,
    )
