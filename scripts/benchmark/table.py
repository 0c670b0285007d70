"""Tables of the bench: one description, shown in a terminal and written as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table with what must be known to read it. The first column is text, the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: str


def figure(value: float | None) -> str:
    """Three digits that matter, grouped by thousands; a dash where nothing was measured."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}" if abs(value) >= 1 else f"{value:.3f}"


def percent(fraction: float | None) -> str:
    """A ratio in percent."""
    if fraction is None:
        return "-"
    return f"{fraction:.0%}" if fraction >= 0.1 else f"{fraction:.1%}"


def show(console: Console, section: Section) -> None:
    """Print a section for a person."""
    table = Table(title=section.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(section.columns):
        table.add_column(name, justify="right" if place else "left", no_wrap=not place)
    for row in section.rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
    console.print(section.notes, style="dim", markup=False)
    console.print()


def markdown(section: Section) -> str:
    """The same section for the README."""
    return "\n".join(
        [
            f"**{section.title}**",
            "",
            _line(section.columns),
            "|---|" + "---:|" * (len(section.columns) - 1),
            *(_line(row) for row in section.rows),
            "",
            section.notes,
        ]
    )


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
