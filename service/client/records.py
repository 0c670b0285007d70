"""The catalog, as it is on the wire, as tables that a person can read."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, plain_table
from service.client.listings import brief

HIGHLIGHTS: dict[str, tuple[str, ...]] = {
    "gpus": ("memory_gb", "memory_bandwidth_tb_s", "bf16_dense_tflops", "fp8_dense_tflops", "tdp_w"),
    "servers": ("gpu", "gpus", "cooling", "rack_units", "plan_power_kw"),
    "networks": ("fabric", "ports", "port_gbit_s"),
    "storage": ("capacity_tb", "read_gb_s", "write_gb_s"),
    "racks": ("cooling", "rack_units", "max_kw"),
    "models": ("family", "usable", "total_params_b", "active_params_b", "max_context_tokens"),
    "applications": ("template", "unit_of_work", "bounds"),
}
"""The kinds of the catalog, and the facts that its lists show; one record shows all of them."""


def print_records(console: Console, kind: str, records: Sequence[Answer]) -> None:
    """Print the records of one kind, with the facts that people choose by."""
    shown = HIGHLIGHTS[kind]
    # In words: a narrow terminal breaks a line between them, and not in the middle of one.
    table = plain_table("id", "name", *(name.replace("_", " ") for name in shown))
    for record in records:
        facts = {fact["field"]: fact["value"] for fact in record["facts"]}
        cells = [brief(facts[name]) if name in facts else "" for name in shown]
        table.add_row(record["id"], *(escape(cell) for cell in (record["name"], *cells)))
    console.print(table)
    console.print(f"{len(records)} {kind}; headroom catalog {kind} ID tells everything about one.")


def print_record(console: Console, record: Answer) -> None:
    """Print one record: every fact, how it is known, and where from."""
    console.print()
    console.rule(f"[bold]{escape(record['name'])}[/] ({escape(record['id'])})", align="left")
    table = plain_table("fact", "value", "known as", "sources", "to mind")
    for fact in record["facts"]:
        cells = (brief(fact["value"]), fact["basis"], "\n".join(fact["sources"]), fact["note"] or "")
        table.add_row(escape(fact["field"]), *(escape(cell) for cell in cells))
    console.print(table)
    console.print("\nSources:")
    for name, source in record["sources"].items():
        console.print(f"  [bold]{escape(name)}[/]: {escape(source)}")
    console.print(f"Catalog {record['catalog_version']}.")
