"""The figures of occurrences as a table."""

from scripts.benchmark.occurrences import OccurrenceFigures, Resized
from scripts.benchmark.table import Section, figure


def section(figures: OccurrenceFigures) -> Section:
    """Workloads per second of an occurrence without anything new, and of one that sizes everything."""

    def row(name: str, one: Resized) -> tuple[str, ...]:
        cpu_ms = one.cpu_s * 1e3 / one.items
        return name, f"{one.items:,}", *(figure(value) for value in (one.items_s, one.done_s, one.read_s, cpu_ms))

    return Section(
        title="An occurrence of a schedule",
        columns=("what", "workloads", "per s", "done s", "all read s", "CPU ms each"),
        rows=[
            row("nothing is new: every answer is known, and compared with itself", figures.known),
            row("another assumption: every workload sized anew and compared", figures.anew),
        ],
        notes=(
            "From the request until it was done, and until each workload with what changed was read. 60 % inference, "
            f"20 % training, 20 % science; {figures.anew.moved:,} of them moved beyond the threshold in the second one."
        ),
    )
