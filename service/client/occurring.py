"""`headroom occurrences ID`: how far one time of a schedule is, what moved, why, and all of it as a table."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.batch_progress import duration
from service.client.call import Call, calling, complain
from service.client.counted import counted
from service.client.ending import EXIT_CODES, Ending
from service.client.headroom import Headroom
from service.client.listings import brief, moment, print_older
from service.client.out import check_out, form_of, out_option, write_pieces
from service.client.problem import HeadroomError
from service.client.progress import Watch

_OUTCOMES = ("unchanged", "changed", "moved", "first", "unanswered")
_WITHIN_S = 24 * 3600.0

within = click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0),
    default=_WITHIN_S,
    show_default=True,
    help="Seconds to wait for the end.",
)


@click.command(epilog=EXIT_CODES)
@click.argument("occurrence_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Follow it to its end.")
@click.option("--outcome", type=click.Choice(_OUTCOMES), help="With --out or --results, only these workloads.")
@out_option("its workloads")
@click.option("--results", "form", type=click.Choice(["ndjson", "csv"]), help="Write its workloads in this form.")
@within
@calling
def occurrences(
    call: Call,
    occurrence_id: str,
    *,
    wait: bool,
    outcome: str | None,
    out: str | None,
    form: str | None,
    within_s: float,
) -> Ending:
    """Tell what moved in one time that a schedule was due, and why.

    headroom schedules ID --occurrences lists them. With --out or --results, every workload with what it was answered
    before and now.
    """
    check_out(out)
    with Watch() as watch, call.connect(watch) as headroom:
        written = out is not None or form is not None
        if wait and not written:
            return follow(call, headroom, occurrence_id, within_s=within_s)
        if wait:
            headroom.schedules.wait(occurrence_id, within_s=within_s)
        if written:
            pieces = headroom.schedules.results(occurrence_id, media_type=form_of(form, out), outcome=outcome)
            write_pieces(pieces, out=out)
            return Ending.DONE
        return _tell(call, headroom.schedules.occurrence(occurrence_id))


def follow(call: Call, headroom: Headroom, occurrence_id: str, *, within_s: float) -> Ending:
    """Follow an occurrence to its end, telling how far it is, and then what moved."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    last: list[str] = [""]

    def watch(found: Answer) -> None:
        left = "" if found["left_s"] is None else f", {duration(found['left_s'])} left"
        stage = f"{found['stage']}, {found['progress_fraction']:.0%} of {counted(found['items'], 'workload')}{left}"
        if found["status"] != "done" and stage != last[0]:
            last[0] = stage
            console.print(f"occurrence {found['id']}: {stage}", markup=False)

    try:
        return _tell(call, headroom.schedules.wait(occurrence_id, within_s=within_s, watch=watch))
    except (KeyboardInterrupt, HeadroomError):
        complain(f"The occurrence goes on; headroom occurrences {occurrence_id} --wait follows it again.")
        raise


def _tell(call: Call, found: Answer) -> Ending:
    if call.as_json:
        call.print_json(found)
    else:
        _print(make_console(), found)
    unanswered = found["summary"] is not None and found["summary"]["outcomes"]["unanswered"]
    return Ending.FAILED if found["error_code"] or unanswered else Ending.DONE


def _print(console: Console, found: Answer) -> None:
    why = f"new {', '.join(found['news'])}" if found["news"] else found["reason"]
    told = f"Occurrence {found['id']} ({why}, due {moment(found['due_at'])}) is {found['status']}"
    console.print(
        f"{told}: {found['compared_items']:,} of {counted(found['items'], 'workload')} compared.", markup=False
    )
    if found["error_code"]:
        console.print(f"It ended early: {found['error_code']}.", markup=False)
    summary = found["summary"]
    if summary is None:
        return
    ended = [f"{count:,} {outcome}" for outcome, count in summary["outcomes"].items() if count]
    causes = [f"{cause} {count:,}" for cause, count in summary["causes"].items() if count]
    console.print(", ".join(ended) or "no workload was selected", markup=False)
    if causes:
        console.print(f"because of: {', '.join(causes)}", markup=False)
    for name, words in (("fits_no_more", "no more"), ("fits_now", "now and did not before")):
        if summary[name]:
            console.print(f"{summary[name]:,} {'fits' if summary[name] == 1 else 'fit'} {words}", markup=False)
    _print_tables(console, summary)


def _print_tables(console: Console, summary: Answer) -> None:
    if summary["totals"]:
        table = plain_table("of all that fit", "before", "now")
        for total in summary["totals"]:
            table.add_row(escape(total["quantity"]), *(f"{float(total[when]):,.12g}" for when in ("old", "new")))
        console.print(table)
    if summary["largest"]:
        table = plain_table("moved furthest", "quantity", "before", "now", "by")
        for one in summary["largest"]:
            name = one["name"] or one["workload_id"]
            for change in one["changes"]:
                share = "" if change["change_fraction"] is None else f"{change['change_fraction']:+.1%}"
                told = (_told(change["quantity"], change[when]) for when in ("old", "new"))
                cells = (name, change["quantity"], *told, share)
                table.add_row(*(escape(cell) for cell in cells))
                name = ""
        console.print(table)


def _told(quantity: str, value: Any) -> str:
    """Money comes as text, so that no digit of it is lost."""
    return f"{Decimal(value):,}" if quantity.endswith("_usd") and value is not None else brief(value)


def print_occurrences(console: Console, items: Sequence[Answer], *, more: str | None) -> None:
    """Print occurrences, newest first; `more` is the cursor of the next page."""
    if not items:
        console.print("It was not due yet.")
        return
    table = plain_table("occurrence", "status", "why", "due", "workloads", "moved", "done")
    for item in items:
        moved = "" if item["summary"] is None else f"{item['summary']['outcomes']['moved']:,}"
        why = f"new {', '.join(item['news'])}" if item["news"] else item["reason"]
        cells = (
            *(item["id"], item["status"], why, moment(item["due_at"]), f"{item['items']:,}"),
            *(moved, f"{item['progress_fraction']:.0%}"),
        )
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    print_older(console, more)
