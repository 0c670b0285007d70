"""An estimate, as it is on the wire, as a table that a person can read."""

from rich.console import Console
from rich.markup import escape

from service.client.answers import (
    Answer,
    assumed,
    basis,
    interval,
    layout,
    memory,
    number,
    plain_table,
    pool,
    precision,
)
from service.client.counted import counted


def print_estimate(console: Console, name: str, estimate: Answer) -> None:
    """Print what fixed hardware does."""
    console.print()
    console.rule(f"[bold]{escape(name)}[/]", align="left")
    table = plain_table("", f"{number(estimate['gpus'])} x {estimate['gpu']}")
    parts = ", ".join(f"{part} {number(gb)}" for part, gb in estimate["memory_gb_gpu"].items())
    verdict = "fits" if estimate["fits"] else "DOES NOT FIT"
    for label, value in (
        ("layout", layout(estimate)),
        *((name, pool(estimate[name])) for name in ("prefill", "decode") if estimate.get(name)),
        ("precision", precision(estimate)),
        ("memory per GPU", f"{memory(estimate)}: {verdict}\n{parts}"),
    ):
        table.add_row(label, escape(value))
    table.add_section()
    for metric, values in estimate["metrics"].items():
        table.add_row(metric, escape(interval(values)))
    table.add_section()
    table.add_row("speed is", basis(estimate))
    table.add_row("what binds", escape(estimate["bottleneck"]))
    used = ", ".join(
        f"{share.removesuffix('_fraction')} {value:.0%}" for share, value in estimate["utilisation"].items()
    )
    table.add_row("utilisation", escape(used))
    asks = ", ".join(f"{name} {number(value)}" for name, value in estimate.get("requirements", {}).items())
    if asks:
        table.add_row("a run asks for", escape(asks))
    console.print(table)
    if not estimate["fits"]:
        console.print("It does not fit into memory; the speeds are those of a GPU that had enough.")
    if estimate.get("meets_slo") is False:
        console.print("The slo is not met at this load.")
    for sentence in assumed(estimate["assumed"]):
        console.print(escape(sentence))
    console.print(
        f"{counted(len(estimate['working']), 'step')} of working with --json; engine {estimate['engine_version']}."
    )
