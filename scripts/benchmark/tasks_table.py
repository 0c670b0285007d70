"""The round trips of tasks as a table."""

from scripts.benchmark.figures import Spread
from scripts.benchmark.table import Section, figure
from scripts.benchmark.tasks import TaskFigures


def section(figures: TaskFigures) -> Section:
    """p50 and p95 of a sizing, of its parts, and of the no-op."""

    def row(name: str, spread: Spread) -> tuple[str, ...]:
        return name, figure(spread.p50), figure(spread.p95)

    return Section(
        title="Tasks, one caller at a time",
        columns=("round trip", "p50 ms", "p95 ms"),
        rows=[
            row("sizing: POST with Prefer: wait until the result is read", figures.sizing),
            row("  of which until a worker began", figures.waited),
            row("  of which in the worker, result stored", figures.sized),
            row("no-op Celery task on the same broker", figures.noop),
        ],
        notes=(
            f"{figures.sizing.count} of each, taking turns; a sizing takes {figure(figures.times_the_noop)} times a "
            "no-op (median of the turns). Every question is new: workload, run and message are committed, a worker "
            "sizes (Llama 3.3 70B), prices and stores, and the waiting request finds the result in the database. "
            "The no-op has a worker and a queue with the product's settings; its result returns through Redis."
        ),
    )
