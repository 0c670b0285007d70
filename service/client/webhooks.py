"""`headroom webhooks`: where the tenant hears of what happens; made, tried, watched, and what was sent sent again."""

from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.call import Call, calling
from service.client.choosing import paging
from service.client.default import DefaultCommand, WithDefault
from service.client.ending import EXIT_CODES, Ending
from service.client.listings import moment, print_older
from service.client.progress import Watch

_HEAD = ("url", "state", "failing_since", "disabled_at", "disabled_reason", "old_secret_until", "principal")
_ID = click.argument("webhook_id", metavar="ID")


@click.group(cls=WithDefault, default="show")
def webhooks() -> None:
    """List your webhooks, show one, make, try, change or delete one; for keys of the role admin."""


@webhooks.command("show", cls=DefaultCommand, epilog=EXIT_CODES)
@click.argument("webhook_id", metavar="[ID]", required=False)
@click.option("--state", type=click.Choice(["active", "disabled"]), help="List only those in this state.")
@paging
@calling
def show_webhooks(call: Call, webhook_id: str | None, *, state: str | None, limit: int, cursor: str | None) -> Ending:
    """List your webhooks, newest first, or show one.

    headroom webhooks add URL --event run.done makes one; headroom webhooks deliveries ID tells what was sent.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        if webhook_id is not None:
            return _show(call, headroom.webhooks.get(webhook_id))
        page = headroom.webhooks.list(state=state, limit=limit, cursor=cursor)
    if call.as_json:
        call.print_json(page.document)
    else:
        _print_list(make_console(), page.items, more=page.next_cursor)
    return Ending.DONE


@webhooks.command("add", epilog=EXIT_CODES)
@click.argument("address", metavar="URL")
@click.option("--event", "events", multiple=True, required=True, help="An event to hear of; several times for several.")
@click.option("--name", help="A name for people.")
@calling
def add_webhook(call: Call, address: str, *, events: tuple[str, ...], name: str | None) -> Ending:
    """Make a webhook and show its secret, once.

    Events: run.done, run.failed, run.cancelled, batch.done, batch.cancelled, occurrence.done, webhook.disabled, and
    quote.created, changed, submitted, approved, rejected, returned, issued, superseded, accepted, declined, expired,
    withdrawn, revised, each with quote. before it.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        made = headroom.webhooks.create(address, events, name=name)
    return _show(call, made)


@webhooks.command("enable", epilog=EXIT_CODES)
@_ID
@calling
def enable_webhook(call: Call, webhook_id: str) -> Ending:
    """Enable a webhook that was disabled; what was given up meanwhile can be replayed."""
    with Watch() as watch, call.connect(watch) as headroom:
        return _show(call, headroom.webhooks.enable(webhook_id))


@webhooks.command("disable", epilog=EXIT_CODES)
@_ID
@calling
def disable_webhook(call: Call, webhook_id: str) -> Ending:
    """Send nothing to a webhook any more, until it is enabled."""
    with Watch() as watch, call.connect(watch) as headroom:
        return _show(call, headroom.webhooks.enable(webhook_id, enabled=False))


@webhooks.command("rotate", epilog=EXIT_CODES)
@_ID
@click.option(
    "--old-valid-h",
    type=click.FloatRange(0, 168),
    default=24.0,
    show_default=True,
    help="For so many hours the old secret signs beside the new one.",
)
@calling
def rotate_secret(call: Call, webhook_id: str, *, old_valid_h: float) -> Ending:
    """Give a webhook another secret and show it, once."""
    with Watch() as watch, call.connect(watch) as headroom:
        return _show(call, headroom.webhooks.rotate(webhook_id, old_valid_h=old_valid_h))


@webhooks.command("delete", epilog=EXIT_CODES)
@_ID
@calling
def delete_webhook(call: Call, webhook_id: str) -> Ending:
    """Delete a webhook; what was on its way is given up."""
    with Watch() as watch, call.connect(watch) as headroom:
        headroom.webhooks.delete(webhook_id)
    if not call.as_json:
        make_console().print(f"Webhook {webhook_id} is deleted.", markup=False, soft_wrap=True)
    return Ending.DONE


@webhooks.command("ping", epilog=EXIT_CODES)
@_ID
@calling
def ping_webhook(call: Call, webhook_id: str) -> Ending:
    """Send a webhook an event that says nothing, to see whether it arrives."""
    with Watch() as watch, call.connect(watch) as headroom:
        return _sent(call, headroom.webhooks.ping(webhook_id))


@webhooks.command("replay", epilog=EXIT_CODES)
@_ID
@click.argument("delivery_id", metavar="DELIVERY")
@calling
def replay_delivery(call: Call, webhook_id: str, delivery_id: str) -> Ending:
    """Send the event of a delivery that has ended once more: the same id, the same body."""
    with Watch() as watch, call.connect(watch) as headroom:
        return _sent(call, headroom.webhooks.replay(webhook_id, delivery_id))


@webhooks.command("deliveries", epilog=EXIT_CODES)
@_ID
@click.argument("delivery_id", metavar="[DELIVERY]", required=False)
@click.option("--status", type=click.Choice(["pending", "delivered", "gave_up"]), help="List only these.")
@click.option("--event", help="List only deliveries of this event.")
@paging
@calling
def show_deliveries(
    call: Call,
    webhook_id: str,
    delivery_id: str | None,
    *,
    status: str | None,
    event: str | None,
    limit: int,
    cursor: str | None,
) -> Ending:
    """Tell what was sent to a webhook and how it went, newest first; or one delivery, with what it sends."""
    with Watch() as watch, call.connect(watch) as headroom:
        if delivery_id is not None:
            return _show_delivery(call, headroom.webhooks.delivery(webhook_id, delivery_id))
        page = headroom.webhooks.deliveries(webhook_id, status=status, event=event, limit=limit, cursor=cursor)
    if call.as_json:
        call.print_json(page.document)
    else:
        _print_deliveries(make_console(), page.items, more=page.next_cursor)
    return Ending.DONE


def _show(call: Call, webhook: Answer) -> Ending:
    if call.as_json:
        call.print_json(webhook)
        return Ending.DONE
    console = make_console()
    table = plain_table("field", "value")
    table.add_row("id", escape(webhook["id"]))
    for name in _HEAD:
        if webhook[name]:
            table.add_row(name, escape(str(webhook[name])))
    table.add_row("events", escape(" ".join(webhook["events"])))
    console.print(table)
    if webhook.get("secret"):
        console.print(f"secret: {webhook['secret']}", markup=False, soft_wrap=True)
        console.print("Keep it: it is not shown again.")
    elif "secret" in webhook:
        console.print("secret: shown in the first answer only; rotate the webhook for another one")
    return Ending.DONE


def _sent(call: Call, delivery: Answer) -> Ending:
    if call.as_json:
        call.print_json(delivery)
        return Ending.DONE
    way = f"headroom webhooks deliveries {delivery['webhook_id']} {delivery['id']} tells how it went."
    make_console().print(f"Delivery {delivery['id']} is on its way. {way}", markup=False, soft_wrap=True)
    return Ending.DONE


def _show_delivery(call: Call, delivery: Answer) -> Ending:
    if call.as_json:
        call.print_json(delivery)
        return Ending.DONE
    table = plain_table("field", "value")
    for name, value in delivery.items():
        if value is not None:
            table.add_row(name, escape(str(value)))
    make_console().print(table)
    return Ending.DONE


def _print_list(console: Console, items: Sequence[Answer], *, more: str | None) -> None:
    if not items:
        console.print("There are no such webhooks.")
        return
    table = plain_table("webhook", "name", "state", "url", "events")
    for item in items:
        state = item["state"] + (f", failing since {moment(item['failing_since'])}" if item["failing_since"] else "")
        cells = (item["id"], item["name"] or "", state, item["url"], " ".join(item["events"]))
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    for item in items:
        if item["disabled_reason"]:
            told = f"{item['id']} is disabled: {item['disabled_reason']}"
            console.print(f"{told} headroom webhooks enable {item['id']} begins anew.", markup=False, soft_wrap=True)
    print_older(console, more)


def _print_deliveries(console: Console, items: Sequence[Answer], *, more: str | None) -> None:
    if not items:
        console.print("There are no such deliveries.")
        return
    table = plain_table("delivery", "event", "status", "attempts", "answer", "when", "next")
    for item in items:
        answer = item["error"] or (str(item["status_code"]) if item["status_code"] else "")
        due = moment(item["next_attempt_at"]) if item["next_attempt_at"] else ""
        cells = (item["id"], item["event"], item["status"], str(item["attempts"]), answer, moment(item["created_at"]))
        table.add_row(*(escape(cell) for cell in (*cells, due)))
    console.print(table)
    print_older(console, more)
