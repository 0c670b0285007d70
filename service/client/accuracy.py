"""How far predictions lie from measurements, as it is on the wire, as a table that a person can read."""

from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, plain_table

_FIGURES = ("points", "median error", "p90 error", "bias", "inside", "groups", "group median")
# Names that may be folded; the others are short, and look broken when they are.
_LONG = frozenset({"source", "model"})


def print_accuracy(console: Console, summary: Answer) -> None:
    """Print the errors of each metric by row, and their median by group; --json has the rest."""
    items = summary["items"]
    names = list(items[0]["by"]) if items else ["kind"]
    table = plain_table("metric", *names, *_FIGURES, whole=set(names) - _LONG)
    for item in items:
        words = (item["metric"], *(item["by"][name] or "-" for name in names))
        table.add_row(*(escape(word) for word in words), *_figures(item["rows"]), *_figures(item["groups"])[:2])
    console.print(table)
    console.print(
        f"{summary['predicted']} of {summary['points']} published points are predicted. Error over measured; bias: "
        "predicted over measured, less one; inside: share within the 80 % interval. In the group median each group "
        "of source, model, GPU, precision and mode has one voice.",
        markup=False,
    )
    if summary["stale"]:
        console.print("Stale: the running engine, calibration or facts are not those of these predictions.")


def _figures(errors: Answer) -> tuple[str, ...]:
    return (
        str(errors["n"]),
        f"{errors['median_error_fraction']:.1%}",
        f"{errors['p90_error_fraction']:.1%}",
        f"{errors['bias_fraction']:+.1%}",
        f"{errors['inside_fraction']:.0%}",
    )
