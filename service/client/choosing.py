"""The options that narrow a list of runs, and the choice that they come to."""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from service.client.choice import RunChoice
from service.client.ending import Ending
from service.client.run import RunStatus

KINDS = ("inference", "training", "science")
_TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


def _labels(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for label in given:
        key, colon, value = label.partition(":")
        if not colon or not key:
            raise click.BadParameter(f"{label!r} is not KEY:VALUE.")
        if key in labels:
            raise click.BadParameter(f"{key!r} is given twice, and a label has one value.")
        labels[key] = value
    return labels


_OPTIONS = (
    click.option("--status", type=click.Choice([str(status) for status in RunStatus]), help="List only these."),
    click.option("--kind", type=click.Choice(KINDS), help="List only runs of this kind of workload."),
    click.option("--workload", "workload_id", help="List only the runs of this workload."),
    click.option("--feasible/--infeasible", default=None, help="List only runs in which something, or nothing, fits."),
    click.option("--cached/--computed", default=None, help="List only runs that were answered before, or were not."),
    click.option(
        "--label",
        "labels",
        metavar="KEY:VALUE",
        multiple=True,
        callback=_labels,
        help="List only runs whose workload has this label; several: all of them.",
    ),
    click.option("--since", "created_after", type=_TIMES, help="List only runs of this time (here) or later."),
    click.option("--before", "created_before", type=_TIMES, help="List only runs before this time (here)."),
)


def choosing(command: Callable[..., Ending]) -> Callable[..., Ending]:
    """Give a command the options that narrow a list, and `only`, the choice that they come to."""

    @functools.wraps(command)
    def chosen(
        *arguments: Any,
        status: str | None,
        kind: str | None,
        workload_id: str | None,
        feasible: bool | None,
        cached: bool | None,
        labels: dict[str, str],
        created_after: datetime | None,
        created_before: datetime | None,
        **options: Any,
    ) -> Ending:
        only = RunChoice(
            status=status,
            kind=kind,
            workload_id=workload_id,
            feasible=feasible,
            cached=cached,
            labels=labels,
            created_after=created_after,
            created_before=created_before,
        )
        return command(*arguments, only=only, **options)

    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen
