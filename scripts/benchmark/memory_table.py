"""Memory as a table."""

from scripts.benchmark.memory import Held, MemoryFigures
from scripts.benchmark.table import Section


def section(figures: MemoryFigures) -> Section:
    """Each process at both moments, and the sum of what is shared fairly."""
    idle, after = ({held.name: held for held in moment} for moment in (figures.idle, figures.after))
    rows = [(name, *_cells(idle.get(name)), *_cells(after.get(name))) for name in {**idle, **after}]
    sums = [_sums(moment) for moment in (figures.idle, figures.after)]
    return Section(
        title="Memory in MiB",
        columns=("process", "idle RSS", "idle PSS", "RSS after the load", "PSS after the load"),
        rows=[*rows, ("all", *sums[0], *sums[1])],
        notes=(
            f"The load: {figures.load}. RSS counts pages that processes share in each of them, PSS once in all; the "
            "sum to look at is that of PSS."
        ),
    )


def _cells(held: Held | None) -> tuple[str, str]:
    if held is None:
        return "-", "-"
    return f"{held.memory.rss_mib:.0f}", "-" if held.memory.pss_mib is None else f"{held.memory.pss_mib:.0f}"


def _sums(moment: list[Held]) -> tuple[str, str]:
    shares = [held.memory.pss_mib for held in moment if held.memory.pss_mib is not None]
    return f"{sum(held.memory.rss_mib for held in moment):.0f}", f"{sum(shares):.0f}" if shares else "-"
