"""The pages as a table."""

from scripts.benchmark.pages import PageFigures
from scripts.benchmark.table import Section, figure

_KB = 1000


def section(figures: PageFigures) -> Section:
    """Each page's times and weights."""
    return Section(
        title="Pages in Chromium",
        columns=(
            "page",
            "first byte ms",
            "painted ms",
            "interactive ms",
            "the same, cached files",
            "page kB",
            "all kB",
        ),
        rows=[
            (
                row.name,
                figure(row.first_byte_ms),
                figure(row.painted_ms),
                figure(row.interactive_ms),
                figure(row.warm_interactive_ms),
                figure(row.page_bytes / _KB),
                figure(row.all_bytes / _KB),
            )
            for row in figures.rows
        ],
        notes=(
            f"Medians of {figures.rounds}, one visitor, on the cores of the server, each with an empty cache and a new "
            "session; weights are what was sent, compressed, with headers. Interactive: the page is parsed and its "
            f"scripts have run. From a change in the form to the new answer: {figure(figures.answer_ms)} "
            "ms, of which 250 wait for the next key."
        ),
    )
