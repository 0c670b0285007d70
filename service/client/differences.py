"""What changed between two runs, as the server tells it: whatever its members are, as lines and tables."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding

from service.client.answers import Answer, plain_table
from service.client.listings import brief

_INDENT = 2
# Of long groups, such as one per server, a person reads the first; programs read them all.
_GROUPS = 3
_CHANGE = "change_fraction"


def print_difference(console: Console, diff: Answer, *, of: str, against: str, groups: int = _GROUPS) -> None:
    """Print the difference of two results; of a long list of groups the first `groups`."""
    console.print()
    console.rule(f"[bold]{escape(of)}[/] and [bold]{escape(against)}[/]", align="left")
    parts = [value for value in diff.values() if isinstance(value, list | dict)]
    if parts and not any(parts):
        console.print("Nothing differs: the same question, the same versions, the same answer.")
    for part in _outline(diff, depth=0, groups=groups):
        console.print(part)


def _outline(document: Answer, *, depth: int, groups: int) -> Iterator[RenderableType]:
    for name, value in document.items():
        label = f"[bold]{escape(str(name))}[/]"
        if isinstance(value, dict) and any(isinstance(inner, dict | list) for inner in value.values()):
            yield _indented(label, depth)
            yield from _outline(value, depth=depth + 1, groups=groups)
        elif _is_rows(value):
            yield _indented(label, depth)
            yield from _items(value, depth=depth + 1, groups=groups)
        else:
            told = "none" if value in ([], {}) else brief(value)
            yield _indented(f"{label}: {escape(told)}", depth)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _items(items: Sequence[dict[str, Any]], *, depth: int, groups: int) -> Iterator[RenderableType]:
    if not any(_is_rows(inner) for item in items for inner in item.values()):
        yield Padding(_rows(items), (0, 0, 0, _INDENT * depth), expand=False)
        return
    for item in items[:groups]:
        yield from _outline(item, depth=depth, groups=groups)
    if len(items) > groups:
        yield _indented(f"and {len(items) - groups} more; --json tells all of them", depth)


def _rows(items: Sequence[dict[str, Any]]) -> RenderableType:
    columns = list(dict.fromkeys(name for item in items for name in item))
    table = plain_table(*("change" if name == _CHANGE else name for name in columns))
    for item in items:
        table.add_row(*(escape(_cell(name, item[name])) if name in item else "" for name in columns))
    return table


def _cell(name: str, value: Any) -> str:
    if name != _CHANGE:
        # One of the two runs has no such field: nothing about it is unknown.
        return "none" if value is None else brief(value)
    return "" if value is None else f"{value:+.1%}"


def _indented(text: str, depth: int) -> RenderableType:
    return Padding(text, (0, 0, 0, _INDENT * depth))
