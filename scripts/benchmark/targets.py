"""The speed targets, as ratios and latencies of one run, and whether this run met them."""

from dataclasses import dataclass

from scripts.benchmark.table import figure, percent
from scripts.benchmark.web import ESTIMATE_ALONE, FLASK, POST, RUN, WebFigures

RUN_OF_FLASK = 0.45
POST_OF_FLASK = 0.30
ESTIMATE_P50_MS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What should hold, what was measured, and whether it holds; None where it was not measured soundly."""

    what: str
    goal: str
    measured: str
    met: bool | None

    def sentence(self) -> str:
        """One line for a person."""
        verdict = {True: "met", False: "NOT met", None: "not judged"}[self.met]
        return f"{self.what}: {self.measured} (target: {self.goal}): {verdict}"


def judge(figures: WebFigures) -> list[Target]:
    """The three targets."""
    return [
        _share(figures, RUN, RUN_OF_FLASK),
        _share(figures, POST, POST_OF_FLASK),
        _estimate(figures),
    ]


def _share(figures: WebFigures, name: str, least: float) -> Target:
    ratio, row = figures.ratio(name), figures.row(name)
    sound = row is not None and not row.errors
    return Target(
        what=f"{name}, requests/s of `{FLASK}`",
        goal=f"at least {least:.0%}",
        measured=percent(ratio),
        met=ratio >= least if ratio is not None and sound else None,
    )


def _estimate(figures: WebFigures) -> Target:
    row = figures.row(ESTIMATE_ALONE)
    return Target(
        what="estimate over HTTP, p50 at 1 connection",
        goal=f"under {ESTIMATE_P50_MS:g} ms",
        measured="-" if row is None else f"{figure(row.middle('p50_ms'))} ms",
        met=row.middle("p50_ms") < ESTIMATE_P50_MS if row is not None and not row.errors else None,
    )
