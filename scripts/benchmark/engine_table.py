"""The engine's figures as a table."""

from scripts.benchmark.engine import EngineFigures, Many
from scripts.benchmark.figures import Spread
from scripts.benchmark.roofline import OPERATIONS
from scripts.benchmark.table import Section, figure
from scripts.benchmark.targets import Target

MANY_S = 300.0


def section(figures: EngineFigures) -> Section:
    """Milliseconds per sizing and thousands of candidates per second, beside the bare loop."""
    rows = [
        (
            of.kind,
            f"{of.candidates:,}",
            figure(of.size.p50),
            _from_to(of.size),
            figure(of.candidates / of.size.p50),
            figure(of.roofline.p50),
            figure(of.candidates / of.roofline.p50),
            figure(of.times_the_roofline),
        )
        for of in figures.sized
    ]
    alone = figures.estimate
    rows.append(("estimate (Llama 3.3 70B, 8 GPUs)", "", figure(alone.p50), _from_to(alone), "", "", "", ""))
    return Section(
        title="Engine, one process on one core",
        columns=("call", "candidates", "p50 ms", "p10-p90", "1000 cand./s", "bare ms", "bare 1000 c./s", "x bare"),
        rows=rows,
        notes=(
            f"{alone.count} rounds; each sizes every kind once and runs the bare loop right after: as many float64 "
            f"candidates through {OPERATIONS} NumPy operations (max, where, multiply, divide), in blocks. "
            "`size` from a resolved question to ranked options with intervals, working and sensitivity; not counted: "
            "parsing, prices, JSON. A candidate of `size` is judged at many loads, one of the bare loop once. "
            + _many(figures.many)
        ),
    )


def _from_to(spread: Spread) -> str:
    return f"{figure(spread.p10)}-{figure(spread.p90)}"


def _many(many: Many) -> str:
    """Workloads per second on the core, one after another and together."""
    alone, together = (many.workloads / seconds for seconds in (many.one_by_one_s, many.together_s))
    return (
        f"{many.workloads:,} mixed workloads of a batch, the best option without its working: {figure(alone)} per "
        f"second one after another, {figure(together)} in one call of `size_many`."
    )


def judge(figures: EngineFigures) -> Target:
    """Whether many workloads in one call are sized fast enough."""
    each_s = figures.many.workloads / figures.many.together_s
    return Target(
        what="mixed workloads in one call of the engine, on one core",
        goal=f"at least {MANY_S:g} workloads/s",
        measured=f"{figure(each_s)}/s",
        met=each_s >= MANY_S,
    )
