"""`headroom audit`: who changed what, when, and in which request."""

from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.call import Call, calling
from service.client.choice import EventChoice
from service.client.choosing import choosing_events, paging
from service.client.ending import EXIT_CODES, Ending
from service.client.listings import moment, print_older
from service.client.progress import Watch


@click.command(epilog=EXIT_CODES)
@choosing_events
@paging
@calling
def audit(call: Call, *, only: EventChoice, limit: int, cursor: str | None) -> Ending:
    """List who changed what, newest first.

    For keys of the role admin: what callers and operators did to workloads, runs, keys and the tenant itself.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        page = headroom.audit_events(only, limit=limit, cursor=cursor)
    if call.as_json:
        call.print_json(page.document)
    else:
        _print(make_console(), page.items, more=page.next_cursor)
    return Ending.DONE


def _print(console: Console, events: Sequence[Answer], *, more: str | None) -> None:
    if not events:
        console.print("There are no such events.")
        return
    table = plain_table("when", "by", "what")
    for event in events:
        cells = (moment(event["created_at"]), event["principal"], _changed(event))
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    print_older(console, more)


def _changed(event: Answer) -> str:
    """What was done to what, from which state to which, and the request to look for in the logs, a line each."""
    states = " -> ".join(state for state in (event["old_state"], event["new_state"]) if state)
    lines = (event["action"], event["resource_id"], states, f"request {event['request_id']}")
    return "\n".join(line for line in lines if line)
