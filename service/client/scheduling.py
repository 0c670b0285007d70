"""`headroom schedules`: what is sized again and again, and when; for administrators to make and change."""

from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.call import Call, calling
from service.client.choosing import KINDS, labels_given, paging
from service.client.counted import counted
from service.client.default import DefaultCommand, WithDefault
from service.client.ending import EXIT_CODES, Ending
from service.client.listings import brief, moment, print_older
from service.client.occurring import follow, print_occurrences, within
from service.client.progress import Watch
from service.client.schedule_calls import SAID

_TRIGGERS = ("catalog", "calibration", "price_book", "engine")
_STATES = ("feasible", "infeasible", "failed", "unanswered")
_WHAT_IT_SAYS = (
    click.option("--cron", help="When: minute, hour, day of the month, month, day of the week; quote it."),
    click.option("--zone", "time_zone", help="Whose clock it goes by, such as Europe/Berlin; UTC unless given."),
    click.option(
        "--on",
        "triggers",
        type=click.Choice(_TRIGGERS),
        multiple=True,
        help="Also when this is new to the installation (price_book: its indicative prices, not those of your quotes);"
        " several: any of them.",
    ),
    click.option(
        "--label",
        "labels",
        metavar="KEY:VALUE",
        multiple=True,
        callback=labels_given,
        help="Only workloads with this label; several: all of them.",
    ),
    click.option("--kind", type=click.Choice(KINDS), help="Only workloads of this kind."),
    click.option("--state", type=click.Choice(_STATES), help="Only workloads whose newest run has ended so."),
    click.option(
        "--asked-within", "asked_within_days", type=int, metavar="DAYS", help="Only workloads of the last so many days."
    ),
    click.option("--asked-before", "asked_before_days", type=int, metavar="DAYS", help="Only older workloads."),
    click.option(
        "--threshold",
        "threshold_fraction",
        type=float,
        metavar="SHARE",
        help="From what share of difference on an answer has moved; 0.05 unless given.",
    ),
)


def _says(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of what a schedule says."""
    for option in reversed(_WHAT_IT_SAYS):
        command = option(command)
    return command


def _asked(old: Answer | None, **given: Any) -> dict[str, Any]:
    """A body of what was given; what was not stays as it is in `old`."""
    known = dict((old or {}).get("selection", {}))
    names = ("kind", "state", "asked_within_days", "asked_before_days")
    selection = known | {name: given[name] for name in names if given[name] is not None}
    if given["labels"]:
        selection["labels"] = given["labels"]
    body: dict[str, Any] = {} if old is None else {name: old[name] for name in SAID}
    for name in ("name", "cron", "time_zone", "threshold_fraction"):
        if given[name] is not None:
            body[name] = given[name]
    if given["triggers"]:
        body["triggers"] = list(given["triggers"])
    return body | ({"selection": selection} if selection else {})


@click.group("schedules", cls=WithDefault, default="show")
def schedules() -> None:
    """List your schedules, show one, make, change, preview, run, pause or remove one."""


@schedules.command("show", cls=DefaultCommand, epilog=EXIT_CODES)
@click.argument("schedule_id", metavar="[ID]", required=False)
@click.option("--name", help="List only schedules of exactly this name.")
@click.option("--occurrences", "of_one", is_flag=True, help="List the times that the schedule ID was due.")
@paging
@calling
def show_schedules(
    call: Call, schedule_id: str | None, *, name: str | None, of_one: bool, limit: int, cursor: str | None
) -> Ending:
    """List your schedules, or show one; with --occurrences, the times that it was due.

    The lists are newest first. headroom occurrences ID tells what moved in one of those times.

    \b
    headroom schedules create --name nightly --cron "0 2 * * *" --zone Europe/Berlin --label team:care
    headroom schedules create --name "what is new" --on catalog --on price_book
    headroom schedules run ID --wait        now, with progress
    headroom schedules preview ID           the next five ticks, and what would be sized
    headroom schedules change ID --cron ... also: pause, resume, remove
    """  # noqa: D301  # the backspace is click's mark for lines that stay as they are
    if of_one and schedule_id is None:
        raise click.UsageError("--occurrences are those of one schedule: headroom schedules ID --occurrences.")
    with Watch() as watch, call.connect(watch) as headroom:
        if schedule_id is None:
            page = headroom.schedules.list(name=name, limit=limit, cursor=cursor)
        elif of_one:
            page = headroom.schedules.occurrences(schedule_id, limit=limit, cursor=cursor)
        else:
            return _tell(call, headroom.schedules.get(schedule_id))
    if call.as_json:
        call.print_json(page.document)
    elif of_one:
        print_occurrences(make_console(), page.items, more=page.next_cursor)
    else:
        _print_list(make_console(), page.items, more=page.next_cursor)
    return Ending.DONE


@schedules.command("create", epilog=EXIT_CODES)
@click.option("--name", required=True, help="For people.")
@_says
@click.option("--dry-run", is_flag=True, help="Only tell what it would do.")
@click.option("--idempotency-key", help="The same key again, within a day, is the same schedule.")
@calling
def create_schedule(call: Call, *, dry_run: bool, idempotency_key: str | None, **given: Any) -> Ending:
    """Make a schedule, for keys of the role admin.

    It sizes the selected workloads again at each tick of --cron and whenever something that --on names is new, and
    compares each answer with the one before. Without a selection it takes every workload that is not archived.
    """
    asked = _asked(None, **given)
    if "cron" not in asked and "triggers" not in asked:
        raise click.UsageError("Say when: --cron, --on, or both.")
    with Watch() as watch, call.connect(watch) as headroom:
        if dry_run:
            return _tell_preview(call, headroom.schedules.preview(asked))
        return _tell(call, headroom.schedules.create(asked, idempotency_key=idempotency_key))


@schedules.command("change", epilog=EXIT_CODES)
@click.argument("schedule_id", metavar="ID")
@click.option("--name", help="For people.")
@_says
@calling
def change_schedule(call: Call, schedule_id: str, **given: Any) -> Ending:
    """Change what a schedule says, for keys of the role admin; what is not given stays as it is."""
    with Watch() as watch, call.connect(watch) as headroom:
        asked = _asked(headroom.schedules.get(schedule_id), **given)
        return _tell(call, headroom.schedules.change(schedule_id, asked))


@schedules.command("preview", epilog=EXIT_CODES)
@click.argument("schedule_id", metavar="ID")
@calling
def preview_schedule(call: Call, schedule_id: str) -> Ending:
    """Tell the next five ticks of a schedule, and which workloads it would size now."""
    with Watch() as watch, call.connect(watch) as headroom:
        return _tell_preview(call, headroom.schedules.preview_of(schedule_id))


@schedules.command("run", epilog=EXIT_CODES)
@click.argument("schedule_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Follow it to its end, and tell what moved.")
@within
@calling
def run_schedule(call: Call, schedule_id: str, *, wait: bool, within_s: float) -> Ending:
    """Size the workloads of a schedule now, for keys of the role admin.

    While an occurrence of the schedule is open another one is refused.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        occurrence = headroom.schedules.run(schedule_id)
        if wait:
            return follow(call, headroom, str(occurrence["id"]), within_s=within_s)
    if call.as_json:
        call.print_json(occurrence)
    else:
        make_console().print(
            f"Occurrence {occurrence['id']} is due; headroom occurrences {occurrence['id']} --wait follows it.",
            markup=False,
            soft_wrap=True,
        )
    return Ending.DONE


@schedules.command("pause", epilog=EXIT_CODES)
@click.argument("schedule_id", metavar="ID")
@calling
def pause_schedule(call: Call, schedule_id: str) -> Ending:
    """Let a schedule rest, for keys of the role admin; a second time changes nothing."""
    with Watch() as watch, call.connect(watch) as headroom:
        return _tell(call, headroom.schedules.pause(schedule_id))


@schedules.command("resume", epilog=EXIT_CODES)
@click.argument("schedule_id", metavar="ID")
@calling
def resume_schedule(call: Call, schedule_id: str) -> Ending:
    """End the rest of a schedule, for keys of the role admin; what it missed is not made up for."""
    with Watch() as watch, call.connect(watch) as headroom:
        return _tell(call, headroom.schedules.resume(schedule_id))


@schedules.command("remove", epilog=EXIT_CODES)
@click.argument("schedule_id", metavar="ID")
@calling
def remove_schedule(call: Call, schedule_id: str) -> Ending:
    """Take a schedule away, for keys of the role admin; an open occurrence goes on."""
    with Watch() as watch, call.connect(watch) as headroom:
        headroom.schedules.remove(schedule_id)
    if not call.as_json:
        make_console().print(f"Schedule {schedule_id} is removed.", markup=False, soft_wrap=True)
    return Ending.DONE


def _tell(call: Call, schedule: Answer) -> Ending:
    if call.as_json:
        call.print_json(schedule)
        return Ending.DONE
    console = make_console()
    console.print()
    console.rule(f"[bold]{escape(schedule['name'])}[/] ({escape(schedule['id'])})", align="left")
    table = plain_table("field", "value")
    for name, value in schedule.items():
        if name not in {"id", "name", "selection", "last_occurrence"} and value not in (None, []):
            table.add_row(name, escape(moment(value) if name.endswith("_at") else brief(value)))
    chosen = {name: value for name, value in schedule["selection"].items() if value not in (None, {})}
    table.add_row("workloads", escape(brief(chosen) if chosen else "every one that is not archived"))
    last = schedule["last_occurrence"]
    if last is not None:
        told = f"{last['id']}, {last['status']}: {counted(last['items'], 'workload')}, {last['moved']:,} moved"
        table.add_row("last", escape(told))
    console.print(table)
    return Ending.DONE


def _tell_preview(call: Call, found: Answer) -> Ending:
    if call.as_json:
        call.print_json(found)
        return Ending.DONE
    console = make_console()
    if found["cron_in_words"]:
        console.print(found["cron_in_words"], markup=False)
    for tick in found["ticks"]:
        console.print(f"  {tick['local']}  ({tick['at']})", markup=False)
    console.print(f"{counted(found['selected'], 'workload')} would be sized now.", markup=False)
    for workload in found["workloads"]:
        console.print(f"  {workload['id']}  {workload['kind']}  {workload['name'] or ''}", markup=False)
    more = found["selected"] - len(found["workloads"])
    if more > 0:
        console.print(f"  ... and {more:,} more.", markup=False)
    return Ending.DONE


def _print_list(console: Console, items: Sequence[Answer], *, more: str | None) -> None:
    if not items:
        console.print("There are no such schedules.")
        return
    table = plain_table("schedule", "name", "when", "next", "last", "moved")
    for item in items:
        when = [item["cron_in_words"] or "", f"new {', '.join(item['triggers'])}" if item["triggers"] else ""]
        last = item["last_occurrence"]
        coming = "paused" if item["paused"] else moment(item["next_at"])
        cells = (
            *(item["id"], item["name"], "; ".join(one for one in when if one), coming),
            *(
                "" if last is None else last["status"],
                "" if last is None else f"{last['moved']:,} of {last['items']:,}",
            ),
        )
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    print_older(console, more)
