"""The figures of quotes as a table, and their targets."""

from scripts.benchmark.figures import Spread
from scripts.benchmark.quotes import LINES, QuoteFigures
from scripts.benchmark.table import Section, figure
from scripts.benchmark.targets import Target

RECALCULATION_MS = 100.0
PDF_S = 3.0


def section(figures: QuoteFigures) -> Section:
    """p50 and p95 of a recalculation, of a PUT and of a PDF."""

    def row(name: str, spread: Spread, cpu: str = "") -> tuple[str, ...]:
        return name, figure(spread.p50), figure(spread.p95), cpu

    return Section(
        title="Quotes, one caller at a time",
        columns=("what", "p50 ms", "p95 ms", "CPU ms"),
        rows=[
            row(f"prices and sums of {LINES} lines, in memory", figures.recalculation),
            row(f"PUT of a quote of {figures.put_lines} lines", figures.put, figure(figures.put_cpu_ms)),
            row(f"PUT of a quote of {figures.long_put_lines} lines", figures.long_put, figure(figures.long_put_cpu_ms)),
            row("PDF of the short one, from the request to the bytes", figures.pdf),
        ],
        notes=(
            f"{figures.put.count} of each, taking turns; every PUT has another discount: parts, prices, ownership, "
            "screening and lead times are found anew from a book of over 500 lines, hashed, stored and noted in the "
            f"audit. A worker sets the PDF ({figure(figures.pdf_bytes / 1e3)} kB), the workbook and the CSV."
        ),
    )


def judge(figures: QuoteFigures) -> list[Target]:
    """Whether a long quote is recalculated, and a PDF made, fast enough."""
    return [
        _below(f"a quote of {LINES} lines, recalculated", figures.recalculation.p50, RECALCULATION_MS),
        _below(f"PUT of a quote of {figures.long_put_lines} lines, p50", figures.long_put.p50, RECALCULATION_MS),
        _below("PDF of a quote, p50", figures.pdf.p50, PDF_S * 1e3),
    ]


def _below(what: str, measured_ms: float, most_ms: float) -> Target:
    return Target(
        what=what, goal=f"under {most_ms:g} ms", measured=f"{figure(measured_ms)} ms", met=measured_ms < most_ms
    )
