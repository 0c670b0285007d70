"""`headroom workloads`: what you asked, now and before."""

from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.call import Call, calling
from service.client.choice import WorkloadChoice
from service.client.choosing import choosing_workloads, paging
from service.client.completion import workload_ids
from service.client.default import DefaultCommand, WithDefault
from service.client.ending import EXIT_CODES, Ending
from service.client.listings import brief, moment, print_older
from service.client.progress import Watch
from service.client.run import Page

NO_ID = "--versions are those of one workload: headroom workloads ID --versions."
_TIMES = ("created_at", "changed_at", "replaced_at", "archived_at")


@click.group(cls=WithDefault, default="show")
def workloads() -> None:
    """List your workloads, show one, or archive one."""


@workloads.command("show", cls=DefaultCommand, epilog=EXIT_CODES)
@click.argument("workload_id", metavar="[ID]", required=False, shell_complete=workload_ids)
@click.option("--versions", is_flag=True, help="List what the workload ID asked before, and who wrote it.")
@choosing_workloads
@paging
@calling
def show_workloads(
    call: Call, workload_id: str | None, *, versions: bool, only: WorkloadChoice, limit: int, cursor: str | None
) -> Ending:
    """List your workloads, or show one.

    The list is newest first; with an ID, that one with every default spelled out. headroom workloads archive ID
    archives one.
    """
    if versions and workload_id is None:
        raise click.UsageError(NO_ID)
    with Watch() as watch, call.connect(watch) as headroom:
        if workload_id is None:
            answer: Page | Answer = headroom.workloads(only, limit=limit, cursor=cursor)
        elif versions:
            answer = headroom.versions(workload_id, limit=limit, cursor=cursor)
        else:
            answer = headroom.workload(workload_id)
    if not isinstance(answer, Page):
        _tell(call, answer)
    elif call.as_json:
        call.print_json(answer.document)
    else:
        _print_list(make_console(), answer.items, more=answer.next_cursor)
    return Ending.DONE


@workloads.command("archive", epilog=EXIT_CODES)
@click.argument("workload_id", metavar="ID", shell_complete=workload_ids)
@calling
def archive_workload(call: Call, workload_id: str) -> Ending:
    """Archive a workload.

    It is read as before, and neither listed nor changed any more. A second time changes nothing.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        answer = headroom.archive(workload_id)
    if call.as_json:
        call.print_json(answer)
    else:
        told = f"Workload {workload_id} is archived since {moment(answer['archived_at'])}."
        make_console().print(told, markup=False, soft_wrap=True)
    return Ending.DONE


def _tell(call: Call, workload: Answer) -> None:
    if call.as_json:
        call.print_json(workload)
    else:
        _print_one(make_console(), workload)


def _print_list(console: Console, items: Sequence[Answer], *, more: str | None) -> None:
    """Workloads, or versions of one: these have no id of their own."""
    if not items:
        console.print("There are no such workloads.")
        return
    table = plain_table("workload", "version", "name", "labels", "kind", "by", "created")
    for item in items:
        cells = (item["name"] or "", _labels(item), item["kind"], item["principal"])
        shown = item.get("id") or item["workload_id"]
        archived = " (archived)" if item.get("archived_at") else ""
        created = moment(item["created_at"]) + archived
        table.add_row(escape(shown), str(item["version"]), *(escape(cell) for cell in cells), created)
    console.print(table)
    print_older(console, more)


def _print_one(console: Console, workload: Answer) -> None:
    console.print()
    console.rule(f"[bold]{escape(workload['name'] or workload['id'])}[/] ({escape(workload['id'])})", align="left")
    table = plain_table("field", "value")
    for name in ("version", "principal", *_TIMES):
        if workload.get(name) is not None:
            table.add_row(name, escape(moment(workload[name]) if name in _TIMES else str(workload[name])))
    if workload["labels"]:
        table.add_row("labels", escape(_labels(workload)))
    table.add_section()
    for part in ("workload", "constraints"):
        for name, value in _leaves(workload[part], part):
            table.add_row(escape(name), escape(brief(value)))
    console.print(table)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each field that is given, under the name by which the server speaks of it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}")
    elif value is not None:
        yield path, value


def _labels(item: Answer) -> str:
    return ", ".join(f"{key}:{value}" for key, value in item["labels"].items())
