"""What changed between two runs, as the server tells it: whatever its members are, as lines and tables."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding

from service.client.answers import Answer, plain_table
from service.client.listings import brief

_INDENT = 2


def print_difference(console: Console, diff: Answer, *, of: str, against: str) -> None:
    """Print the difference of two results."""
    console.print()
    console.rule(f"[bold]{escape(of)}[/] and [bold]{escape(against)}[/]", align="left")
    for part in _outline(diff, depth=0):
        console.print(part)


def _outline(document: Answer, *, depth: int) -> Iterator[RenderableType]:
    for name, value in document.items():
        label = f"[bold]{escape(str(name))}[/]"
        if isinstance(value, dict) and any(isinstance(inner, dict | list) for inner in value.values()):
            yield _indented(label, depth)
            yield from _outline(value, depth=depth + 1)
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield _indented(label, depth)
            yield Padding(_rows(value), (0, 0, 0, _INDENT * (depth + 1)), expand=False)
        else:
            told = "none" if value in ([], {}) else brief(value)
            yield _indented(f"{label}: {escape(told)}", depth)


def _rows(items: Sequence[dict[str, Any]]) -> RenderableType:
    columns = list(dict.fromkeys(name for item in items for name in item))
    table = plain_table(*columns)
    for item in items:
        table.add_row(*(escape(brief(item[name])) if name in item else "" for name in columns))
    return table


def _indented(text: str, depth: int) -> RenderableType:
    return Padding(text, (0, 0, 0, _INDENT * depth))
