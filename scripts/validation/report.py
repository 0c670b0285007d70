"""The table of errors: what was read, answered and refused, and how far predictions lie from measurements."""

from collections import Counter
from collections.abc import Iterator, Sequence

from scripts.validation.result import LineResult
from service.planning.scoring import Errors, Scored, scorable, score
from service.schemas.measured import Refused
from service.sizing.interval import Interval

# Lines of these are no runs of what Headroom sizes: nobody expects an answer.
_NOT_ASKED = frozenset({Refused.OUT_OF_SCOPE, Refused.NOT_A_TIMING})
_LEGEND = """\
median, p90: absolute error over measured. bias: median of predicted over measured, less one.
inside: share within the 80 % interval. A group is source x model x GPU x precision x mode; its error is the median of
its rows."""


def report(results: Sequence[LineResult], *, read: int, by: tuple[str, ...]) -> str:
    """Everything, as text of a terminal."""
    return "\n".join([*_counted(results, read=read), "", *_table(results, by=by), "", _LEGEND])


def _counted(results: Sequence[LineResult], *, read: int) -> Iterator[str]:
    refused = Counter(result.refused for result in results if result.refused)
    answered = len(results) - refused.total()
    asked = len(results) - sum(refused[reason] for reason in _NOT_ASKED)
    left = "" if len(results) == read else f", {len(results):,} chosen"
    share = f", {answered / asked:.1%} of the {asked:,} that are timings in scope" if asked else ""
    yield f"lines read {read:,}{left}; answered {answered:,}{share}; refused {refused.total():,}"
    for reason in Refused:
        if refused[reason]:
            yield f"  {reason:<20}{refused[reason]:>7,}"
    ran = [fits for result in results if result.ran for fits in _fits(result)]
    full = [fits for result in results if not result.ran for fits in _fits(result)]
    if ran:
        yield f"fits: {sum(ran):,} of {len(ran):,} that ran"
    if full:
        yield f"fits: {sum(full):,} of {len(full):,} that ran out of memory"


def _fits(result: LineResult) -> tuple[bool, ...]:
    fits = result.objects[0]["fits"]
    return () if fits is None else (bool(fits),)


def _table(results: Sequence[LineResult], *, by: tuple[str, ...]) -> list[str]:
    points: dict[tuple[str, ...], list[Scored]] = {}
    for result in results:
        for found in result.objects:
            if found["p50"] is not None and scorable(found["measured"]):
                key = (result.kind, found["metric"], *result.by)
                points.setdefault(key, []).append(_scored(result, found))
    if not points:
        return ["No line has both a prediction and a measured number."]
    figures = ("n", "median", "p90", "bias", "inside")
    rows = [("kind", "metric", *by, *figures, *figures)]
    for key in sorted(points):
        errors = score(points[key])
        assert errors is not None
        rows.append((*key, *_figures(errors.rows), *_figures(errors.groups)))
    words = 2 + len(by)
    lines = _aligned(rows, words=words)
    return [_heads(lines[0], words=words, rows=rows), *lines]


def _scored(result: LineResult, found: dict[str, object]) -> Scored:
    quantiles = {name: float(str(found[name])) for name in ("p10", "p50", "p90")}
    return Scored(group=result.group, measured=float(str(found["measured"])), predicted=Interval(**quantiles))


def _figures(errors: Errors) -> tuple[str, ...]:
    return (
        f"{errors.n:,}",
        f"{errors.median_error_fraction:.1%}",
        f"{errors.p90_error_fraction:.1%}",
        f"{errors.bias_fraction:+.1%}",
        f"{errors.inside_fraction:.0%}",
    )


def _aligned(rows: Sequence[tuple[str, ...]], *, words: int) -> list[str]:
    """Words to the left, figures to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{width}}" if place < words else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _heads(first: str, *, words: int, rows: Sequence[tuple[str, ...]]) -> str:
    """`by row` and `by group` over their five columns."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    start = sum(widths[:words]) + 2 * words
    middle = start + sum(widths[words : words + 5]) + 10
    return f"{'':<{start}}{'by row':<{middle - start}}by group"[: max(len(first), middle + 8)]
