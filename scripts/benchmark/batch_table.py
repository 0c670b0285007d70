"""A batch's figures as a table."""

from scripts.benchmark.batch import BatchFigures, Sent
from scripts.benchmark.table import Section, figure
from scripts.benchmark.targets import Target

BATCH_ITEMS_S = 200.0


def section(figures: BatchFigures) -> Section:
    """Workloads per second of the batch, of its duplicates, and of the plain loop."""

    def row(name: str, sent: Sent) -> tuple[str, ...]:
        parts = (sent.items_s, sent.accepted_s, sent.sized_s, sent.read_s, sent.cpu_ms_item)
        return name, f"{sent.items:,}", *(figure(value) for value in parts)

    loop = ("function of scripts/size in a plain loop, one process", f"{figures.loop_items:,}")
    return Section(
        title="A batch over HTTP",
        columns=("workloads", "count", "per s", "accepted s", "all sized s", "all read s", "CPU ms each"),
        rows=[
            row("distinct: 60 % inference, 20 % training, 20 % science", figures.distinct),
            row("the same again: every answer is known", figures.duplicates),
            (*loop, figure(figures.loop_items_s), "", "", "", figure(figures.loop_cpu_ms_item)),
        ],
        notes=(
            "From the first byte of the upload to the last one of the results. An item keeps its best option in short; "
            "the plain loop gives all options with their working. CPU: all processes of the product, system included. "
            f"Memory of all of them (PSS): {figure(figures.idle_mib)} MiB before, {figure(figures.half_way_mib)} half "
            f"way, {figure(figures.most_mib)} at most. Results: {figure(figures.distinct.result_bytes / 1e3)} kB."
        ),
    )


def judge(figures: BatchFigures) -> Target:
    """Whether distinct workloads are sized fast enough."""
    return Target(
        what="a batch of distinct workloads, from upload to results",
        goal=f"at least {BATCH_ITEMS_S:g} workloads/s",
        measured=f"{figure(figures.distinct.items_s)}/s",
        met=figures.distinct.items_s >= BATCH_ITEMS_S,
    )
