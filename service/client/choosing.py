"""The options that narrow a list, and the choice that they come to."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import click

from service.client.choice import EventChoice, RunChoice, WorkloadChoice
from service.client.ending import Ending
from service.client.run import RunStatus

KINDS = ("inference", "training", "science")
PAGE = 500
Decorator = Callable[[Callable[..., Ending]], Callable[..., Ending]]
_TIME = "TIME"


class _Time(click.DateTime):
    """A day or a moment; what is neither is told in words and not in the patterns of a parser."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(
                f"{value!r} is no time; give a day, such as 2026-11-01, or a moment, such as 2026-11-01T14:30:00, "
                "and behind it Z or +02:00 where it is not yours.",
                param,
                ctx,
            )


_TIMES = _Time(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


def labels_given(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """KEY:VALUE, several times, as a map."""
    labels = {}
    for label in given:
        key, colon, value = label.partition(":")
        if not colon or not key:
            raise click.BadParameter(f"{label!r} is not KEY:VALUE.")
        if key in labels:
            raise click.BadParameter(f"{key!r} is given twice, and a label has one value.")
        labels[key] = value
    return labels


Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def _kind(of: str) -> Option:
    return click.option("--kind", type=click.Choice(KINDS), help=f"List only {of} of this kind of workload.")


def _label(of: str) -> Option:
    return click.option(
        "--label",
        "labels",
        metavar="KEY:VALUE",
        multiple=True,
        callback=labels_given,
        help=f"List only {of} with this label; several: all of them.",
    )


def _times(of: str) -> tuple[Option, Option]:
    return (
        click.option(
            "--since",
            "created_after",
            type=_TIMES,
            metavar=_TIME,
            help=f"List only {of} of this time or later: 2026-11-20 or 2026-11-20T12:00:00, here unless a zone is "
            "given.",
        ),
        click.option(
            "--before",
            "created_before",
            type=_TIMES,
            metavar=_TIME,
            help=f"List only {of} before this time, which is written in the same way.",
        ),
    )


_RUNS = (
    click.option("--status", type=click.Choice([str(status) for status in RunStatus]), help="List only these."),
    _kind("runs"),
    click.option("--workload", "workload_id", help="List only the runs of this workload."),
    click.option("--feasible/--infeasible", default=None, help="List only runs in which something, or nothing, fits."),
    click.option("--cached/--computed", default=None, help="List only runs that were answered before, or were not."),
    _label("runs of workloads"),
    *_times("runs"),
)
_WORKLOADS = (
    _kind("workloads"),
    click.option("--name", help="List only workloads of exactly this name."),
    click.option(
        "--archived",
        type=click.Choice(["false", "true", "any"]),
        help="List only workloads that are not archived (false, unless given), only those that are, or any.",
    ),
    _label("workloads"),
    *_times("workloads"),
)
_EVENTS = (
    click.option("--action", help="List only events of this action, such as workload.changed."),
    click.option("--principal", help="List only what this principal did."),
    click.option("--resource-kind", help="List only what was done to workload, run, price_book, quote, key or tenant."),
    click.option("--resource", "resource_id", help="List only what was done to this resource."),
    *_times("events"),
)


def _choosing(choice: type[RunChoice | WorkloadChoice | EventChoice], options: tuple[Option, ...]) -> Decorator:
    names = [part.name for part in dataclasses.fields(choice)]

    def choosing(command: Callable[..., Ending]) -> Callable[..., Ending]:
        @functools.wraps(command)
        def chosen(*arguments: Any, **given: Any) -> Ending:
            only = choice(**{name: given.pop(name) for name in names})
            return command(*arguments, only=only, **given)

        decorated: Callable[..., Ending] = chosen
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return choosing


choosing_runs = _choosing(RunChoice, _RUNS)
"""Gives a command the options that narrow a list, and `only`, the choice that they come to."""
choosing_workloads = _choosing(WorkloadChoice, _WORKLOADS)
choosing_events = _choosing(EventChoice, _EVENTS)


def paging(command: Callable[..., Ending]) -> Callable[..., Ending]:
    """Give a command the options of a list that comes in pages."""
    limit = click.option(
        "--limit", type=click.IntRange(1, PAGE), default=20, show_default=True, help="How many to list."
    )
    return limit(click.option("--cursor", help="List from here on, as the list before said.")(command))
