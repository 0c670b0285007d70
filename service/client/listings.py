"""Lists and single runs, as they are on the wire, as tables that a person can read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, plain_table
from service.client.run import Run

_SHOWN_STATES = {"queued": "yellow", "running": "yellow", "done": "green", "failed": "red", "cancelled": "dim"}


def moment(text: str | None) -> str:
    """A time in the zone of the reader's machine, to the second."""
    return "" if text is None else f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"


def _outcome(run: Answer) -> str:
    if run["error"] is not None:
        return str(run["error"]["code"])
    if run["feasible"] is None:
        return ""
    return "fits" if run["feasible"] else "nothing fits"


def print_runs(console: Console, runs: Sequence[Answer], *, more: str | None) -> None:
    """Print runs, newest first; `more` is the cursor of the next page."""
    if not runs:
        console.print("There are no such runs.")
        return
    table = plain_table("run", "status", "outcome", "kind", "created")
    for run in runs:
        status = f"[{_SHOWN_STATES.get(run['status'], '')}]{escape(run['status'])}[/]"
        cached = " (cached)" if run["cached"] else ""
        created = moment(run["created_at"])
        table.add_row(run["id"], status, _outcome(run) + cached, run["kind"], created)
    console.print(table)
    print_older(console, more)


def print_older(console: Console, more: str | None) -> None:
    """Print how to go on, where the list does; `more` is the cursor of the next page."""
    if more is not None:
        console.print(f"Older ones: --cursor {escape(more)}", soft_wrap=True)


def told(run: Run) -> str:
    """Where a run without a result stands, in one sentence."""
    if run.error is not None:
        return f"Run {run.id} {run.status}: {run.error.code}: {run.error.message}"
    if run.open:
        return f"Run {run.id} is {run.status} ({run.progress_fraction:.0%} done, attempt {run.attempts})."
    return f"Run {run.id} is {run.status}."


def timing(run: Run) -> str:
    """How a run was answered, for the line above its result."""
    if run.cached:
        return f"answered from the cache, run {run.id}"
    if run.finished_at is None:
        return f"run {run.id}"
    waited_s = ((run.started_at or run.finished_at) - run.created_at).total_seconds()
    sized_s = (run.finished_at - (run.started_at or run.finished_at)).total_seconds()
    return f"waited {max(0.0, waited_s):.2f} s, sized in {max(0.0, sized_s):.2f} s, run {run.id}"


def brief(value: Any) -> str:
    """Any value of an answer in a cell."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        # Facts are told digit by digit; only predictions are rounded.
        return f"{value:,}" if isinstance(value, int) else f"{value:,.12g}"
    if isinstance(value, list):
        return "\n".join(brief(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {brief(item)}" for name, item in value.items() if item is not None)
    return str(value)
