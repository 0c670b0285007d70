"""Completion in the shell: ids come from the server, quickly or not at all."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from service.client.address import DEFAULT_URL
from service.client.headroom import Headroom
from service.client.patience import Patience
from service.client.problem import HeadroomError
from service.client.run import Page

SHELLS = ("bash", "zsh", "fish")
# Nobody waits longer for a Tab.
_WITHIN_S = 1.5
_SHOWN = 50


def script(command: click.Command, shell: str, *, name: str) -> str:
    """What the shell must read to complete a command."""
    chosen = get_completion_class(shell)
    assert chosen is not None
    return chosen(command, {}, name, f"_{name.upper()}_COMPLETE").source()


def run_ids(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The newest runs that begin so."""
    return _newest(context, begun, lambda headroom: headroom.runs(limit=_SHOWN), lambda run: run["status"])


def workload_ids(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The newest workloads that begin so."""
    return _newest(context, begun, lambda headroom: headroom.workloads(limit=_SHOWN), lambda item: item["name"] or "")


def _newest(
    context: click.Context, begun: str, ask: Callable[[Headroom], Page], word: Callable[[Mapping[str, Any]], str]
) -> list[CompletionItem]:
    try:
        with _headroom(context) as headroom:
            items = ask(headroom).items
    except HeadroomError:
        return []
    return [
        CompletionItem(item["id"], help=f"{item['kind']}, {word(item)}".removesuffix(", "))
        for item in items
        if item["id"].startswith(begun)
    ]


def record_ids(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The records of the kind that stands before."""
    kind = context.params.get("kind")
    if not kind:
        return []
    try:
        with _headroom(context) as headroom:
            records = headroom.catalog(kind, limit=500).items
    except HeadroomError:
        return []
    return [CompletionItem(record["id"], help=record["name"]) for record in records if record["id"].startswith(begun)]


def _headroom(context: click.Context) -> Headroom:
    url = context.params.get("url") or os.environ.get("HEADROOM_URL") or DEFAULT_URL
    key = context.params.get("key") or os.environ.get("HEADROOM_KEY") or ""
    return Headroom(url, key, patience=Patience(unreachable_s=0, busy_s=0), answer_within_s=_WITHIN_S)
