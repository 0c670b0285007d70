"""`headroom quotes`: quotes are written, taken through their life, revised, compared, and told when at risk."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.call import Call, calling
from service.client.choosing import paging
from service.client.default import DefaultCommand, WithDefault
from service.client.ending import EXIT_CODES, Ending
from service.client.files import read_file, write_file
from service.client.headroom import Headroom
from service.client.listings import moment, print_older
from service.client.progress import Watch
from service.client.quote_changes import print_changes
from service.client.run import Page

_LARGEST_BYTES = 64_000_000
_STATES = (
    *("draft", "pending_approval", "approved", "issued", "accepted", "declined", "expired", "withdrawn", "superseded"),
)
_FORMS = ("pdf", "xlsx", "csv")
_HEAD = ("state", "customer", "valid_until", "time_zone", "currency", "run_id", "option", "reason")
_file = click.argument("file", type=click.Path(allow_dash=True))
_quote = click.argument("quote_id", metavar="ID")
_version = click.option(
    "--version", type=click.IntRange(1), help="The version that you read; refused where it was changed since."
)
_reason = click.option("--reason", required=True, help="Why, in a sentence; it stands in the quote.")


@click.group(cls=WithDefault, default="show")
def quotes() -> None:
    """List your quotes, show one, write one, and take it through its life."""


@quotes.command("show", cls=DefaultCommand, epilog=EXIT_CODES)
@click.argument("quote_id", metavar="[ID]", required=False)
@click.option("--revisions", is_flag=True, help="List all revisions of the number of the quote ID.")
@click.option("--state", type=click.Choice(_STATES), help="List only these.")
@click.option("--number", help="List only revisions of this number.")
@click.option("--run", "run_id", help="List only quotes from this run.")
@click.option("--customer", help="List only quotes for exactly this customer.")
@click.option("--at-risk", is_flag=True, help="List live quotes that may not hold, with the reasons.")
@click.option("--within", "within_days", type=click.IntRange(0, 366), help="With --at-risk: so many days ahead.")
@paging
@calling
def show_quotes(
    call: Call,
    quote_id: str | None,
    *,
    revisions: bool,
    at_risk: bool,
    within_days: int | None,
    limit: int,
    cursor: str | None,
    **only: str | None,
) -> Ending:
    """List your quotes, or show one.

    The list is newest first; with an ID, that revision with its lines. headroom quotes create FILE writes one.
    """
    if revisions and quote_id is None:
        raise click.UsageError("--revisions are those of one quote: headroom quotes ID --revisions.")
    with Watch() as watch, call.connect(watch) as headroom:
        if quote_id is None:
            answer: Page | Answer = headroom.quotes.list(
                at_risk=at_risk or None, within_days=within_days, limit=limit, cursor=cursor, **only
            )
        elif revisions:
            answer = headroom.quotes.revisions(quote_id, limit=limit, cursor=cursor)
        else:
            answer = headroom.quotes.get(quote_id)
    if not isinstance(answer, Page):
        return _tell(call, answer)
    if call.as_json:
        call.print_json(answer.document)
    else:
        _print_list(make_console(), answer.items, more=answer.next_cursor)
    return Ending.DONE


@quotes.command("create", epilog=EXIT_CODES)
@_file
@click.option("--idempotency-key", help="The same key and file again, within a day, is the same quote, not a new one.")
@calling
def create_quote(call: Call, file: str, *, idempotency_key: str | None) -> Ending:
    """Write a quote: a draft.

    FILE is a body of POST /v1/quotes; - is standard input. The least that it says:

    \b
    {"run_id": "run_01...", "customer": {"name": "Example University"}, "currency": "EUR"}
    """  # noqa: D301  # the backspace is click's mark for lines that stay as they are
    body = read_file(file, most_bytes=_LARGEST_BYTES)
    return _done(call, lambda headroom: headroom.quotes.create(body, idempotency_key=idempotency_key))


@quotes.command("change", epilog=EXIT_CODES)
@_quote
@_file
@_version
@calling
def change_quote(call: Call, quote_id: str, file: str, *, version: int | None) -> Ending:
    """Write a draft anew, all of it; an approval that it has is void then.

    FILE is a body of PUT /v1/quotes/ID: what `request` of the quote says, changed; - is standard input.
    """
    body = read_file(file, most_bytes=_LARGEST_BYTES)
    return _done(
        call,
        lambda headroom: headroom.quotes.change(quote_id, body, tag=headroom.quotes.tag(quote_id, version=version)),
    )


@quotes.command("submit", epilog=EXIT_CODES)
@_quote
@_version
@calling
def submit_quote(call: Call, quote_id: str, *, version: int | None) -> Ending:
    """Ask for the approval of a draft; where its discount needs none, it is approved at once."""
    return _step(call, quote_id, "submit", None, version=version)


@quotes.command("approve", epilog=EXIT_CODES)
@_quote
@_version
@calling
def approve_quote(call: Call, quote_id: str, *, version: int | None) -> Ending:
    """Approve a quote, for approvers and administrators who wrote no part of it."""
    return _step(call, quote_id, "approve", None, version=version)


@quotes.command("reject", epilog=EXIT_CODES)
@_quote
@_reason
@_version
@calling
def reject_quote(call: Call, quote_id: str, *, reason: str, version: int | None) -> Ending:
    """Send a quote that waits for approval back to be written."""
    return _step(call, quote_id, "reject", {"reason": reason}, version=version)


@quotes.command("issue", epilog=EXIT_CODES)
@_quote
@_version
@calling
def issue_quote(call: Call, quote_id: str, *, version: int | None) -> Ending:
    """Issue an approved quote: from now on it says what it says."""
    return _step(call, quote_id, "issue", None, version=version)


@quotes.command("accept", epilog=EXIT_CODES)
@_quote
@click.option("--by", "accepted_by", help="Who accepted for the customer.")
@click.option("--order", "reference", help="The customer's order.")
@_version
@calling
def accept_quote(
    call: Call, quote_id: str, *, accepted_by: str | None, reference: str | None, version: int | None
) -> Ending:
    """Note that the customer has accepted an issued quote, while it is valid."""
    return _step(call, quote_id, "accept", {"accepted_by": accepted_by, "reference": reference}, version=version)


@quotes.command("decline", epilog=EXIT_CODES)
@_quote
@_reason
@_version
@calling
def decline_quote(call: Call, quote_id: str, *, reason: str, version: int | None) -> Ending:
    """Note that the customer has declined an issued quote."""
    return _step(call, quote_id, "decline", {"reason": reason}, version=version)


@quotes.command("withdraw", epilog=EXIT_CODES)
@_quote
@_reason
@_version
@calling
def withdraw_quote(call: Call, quote_id: str, *, reason: str, version: int | None) -> Ending:
    """Take a quote back, at any time before it is accepted."""
    return _step(call, quote_id, "withdraw", {"reason": reason}, version=version)


@quotes.command("revise", epilog=EXIT_CODES)
@_quote
@click.option("--run", "run_id", help="Quote from this run; else from the newest answer to the workload.")
@click.option("--option", type=click.IntRange(1), help="Quote this option; else the best one of the same server.")
@click.option("--valid-days", type=click.IntRange(1), help="Valid for so many days; else for as many as before.")
@click.option("--discount", "discount_fraction", help="Discount of every line without its own: 0.15 is 15 %.")
@click.option(
    "--line-discount", "line_discounts", multiple=True, metavar="LINE=SHARE", help="Of a line; takes the place of all."
)
@click.option("--rate", nargs=3, metavar="RATE DAY SOURCE", help="Exchange rate: 0.92 2026-11-27 'a bank'.")
@_version
@calling
def revise_quote(
    call: Call,
    quote_id: str,
    *,
    line_discounts: Sequence[str],
    rate: tuple[str, str, str] | None,
    version: int | None,
    **asked: Any,
) -> Ending:
    """Write the next revision, a draft at the prices of today, and tell what changed."""
    body = {name: value for name, value in asked.items() if value is not None}
    if line_discounts:
        body["line_discounts"] = dict(_line_and_share(given) for given in line_discounts)
    if rate is not None:
        body["fx"] = dict(zip(("rate", "date", "source"), rate, strict=True))
    with Watch() as watch, call.connect(watch) as headroom:
        quote = headroom.quotes.revise(quote_id, body, tag=headroom.quotes.tag(quote_id, version=version))
        difference = None if call.as_json else headroom.quotes.diff(quote_id, quote["id"])
    _tell_state(call, quote)
    if difference is not None:
        print_changes(make_console(), difference)
    return Ending.DONE


@quotes.command("diff", epilog=EXIT_CODES)
@click.argument("quote_id", metavar="A")
@click.argument("other_id", metavar="B")
@calling
def diff_quotes(call: Call, quote_id: str, other_id: str) -> Ending:
    """Tell what changed from revision A to revision B of a quote, line by line."""
    with Watch() as watch, call.connect(watch) as headroom:
        answer = headroom.quotes.diff(quote_id, other_id)
    if call.as_json:
        call.print_json(answer)
    else:
        print_changes(make_console(), answer)
    return Ending.DONE


@quotes.command("save", epilog=EXIT_CODES)
@_quote
@click.option("--as", "form", type=click.Choice(_FORMS), default="pdf", show_default=True, help="As what.")
@click.option("--to", "file", type=click.Path(allow_dash=True), help="The file; - is standard output. [its number]")
@calling
def save_quote(call: Call, quote_id: str, *, form: str, file: str | None) -> Ending:
    """Save a revision as a document for the customer.

    A worker makes it once from what the quote says; a draft says on every page that it is one.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        content = headroom.quotes.file(quote_id, form)
        name = file or "{number}-revision-{revision}.{form}".format(**headroom.quotes.get(quote_id), form=form)
    write_file(name, content)
    if name != "-":
        click.echo(f"{name}: {len(content):,} bytes")
    return Ending.DONE


def _line_and_share(given: str) -> tuple[str, str]:
    line, sign, share = given.partition("=")
    if not sign:
        raise click.UsageError(f"--line-discount {given}: write LINE=SHARE, such as server=0.15.")
    return line, share


def _step(call: Call, quote_id: str, name: str, body: Answer | None, *, version: int | None) -> Ending:
    def take(headroom: Headroom) -> Answer:
        return headroom.quotes.step(quote_id, name, body, tag=headroom.quotes.tag(quote_id, version=version))

    return _done(call, take)


def _done(call: Call, change: Callable[[Headroom], Answer]) -> Ending:
    with Watch() as watch, call.connect(watch) as headroom:
        quote = change(headroom)
    _tell_state(call, quote)
    return Ending.DONE


def _tell_state(call: Call, quote: Answer) -> None:
    if call.as_json:
        call.print_json(quote)
        return
    told = f"Quote {quote['number']}, revision {quote['revision']} ({quote['id']}) is {_words(quote['state'])}: "
    make_console().print(told + _sum(quote), markup=False, soft_wrap=True)
    for word in _warnings(quote):
        make_console().print(word, markup=False, soft_wrap=True)


def _tell(call: Call, quote: Answer) -> Ending:
    if call.as_json:
        call.print_json(quote)
    else:
        _print_one(make_console(), quote)
    return Ending.DONE


def _sum(quote: Answer) -> str:
    return "without a total" if quote["total"] is None else f"{_grouped(quote['total'])} {quote['currency']}"


def _warnings(quote: Answer) -> list[str]:
    """What nobody may overlook: disclaimers that begin in capitals, and who must approve."""
    found = [word for word in quote["document"]["disclaimers"] if word.partition(":")[0].isupper()]
    if quote.get("cannot_be_issued"):
        found.append(f"It can no longer be issued: {quote['cannot_be_issued']}.")
    if quote["state"] == "pending_approval":
        found.append(
            f"A key of role {' or '.join(quote['approval']['approvers'])} approves it: {quote['approval']['why']}."
        )
    return found


def _print_list(console: Console, items: Sequence[Answer], *, more: str | None) -> None:
    if not items:
        console.print("There are no such quotes.")
        return
    columns = ("quote", "number", "state", "customer", "total", "valid until", "created")
    table = plain_table(*columns, whole=("number", "total", "valid until"))
    for item in items:
        number = f"{item['number']}/{item['revision']}"
        cells = (item["id"], number, _words(item["state"]), item["customer"], _sum(item), item["valid_until"])
        table.add_row(*(escape(cell) for cell in cells), moment(item["created_at"]))
    console.print(table)
    for item in items:
        for risk in item["risks"]:
            console.print(f"{item['id']}: {_words(risk['kind'])}: {risk['message']}", markup=False, soft_wrap=True)
    print_older(console, more)


def _print_one(console: Console, quote: Answer) -> None:
    document = quote["document"]
    console.print()
    title = f"[bold]{escape(quote['number'])}[/], revision {quote['revision']} ({escape(quote['id'])})"
    console.rule(title, align="left")
    for word in _warnings(quote):
        console.print(word, markup=False, soft_wrap=True)
    head = plain_table("field", "value")
    for name in _HEAD:
        if quote[name] is not None:
            head.add_row(name, escape(_words(str(quote[name])) if name == "state" else str(quote[name])))
    head.add_row("target", escape(document["target"]["sentence"]))
    head.add_row("export rules", escape(_words(document["export"]["severity"])))
    console.print(head)
    net = f"net [{quote['currency']}]"
    table = plain_table("line", "part", "quantity", "unit", "discount", net, whole=("quantity", "discount", net))
    for line in document["lines"]:
        unit = f"{line['unit']} x {line['months'] / 12:g}" if line["months"] else line["unit"]
        cells = (line["id"], line["name"], f"{line['quantity']:,}", unit, _percent(line["discount_fraction"]))
        table.add_row(*(escape(cell) for cell in (*cells, _grouped(line["extended_net"]))))
    console.print(table)
    _print_sums(console, document["totals"])
    for part in document["uncounted"]:
        said = f"Not counted: {part['name']}, {part['why']}"
        way_out = f"; quantities.{part['id']} states how many" if part.get("id") else ""
        console.print(f"{said}{way_out}", markup=False, soft_wrap=True)
    console.print(f"Total: {_sum(quote)}", markup=False)
    console.print(document["export"]["disclaimer"], markup=False, soft_wrap=True)


def _print_sums(console: Console, totals: Answer) -> None:
    table = plain_table("sum", "list", "discount", "net", whole=("list", "discount", "net"))
    months = f"over {totals['term_months']} months"
    for name, part in (("once", totals["one_time"]), (months, totals["recurring"])):
        table.add_row(name, *(_grouped(part[f"{kind}_amount"]) for kind in ("list", "discount", "net")))
    for charge in totals["charges"]:
        table.add_row(escape(charge["name"]), "", "", _grouped(charge["amount"]))
    console.print(table)


def _grouped(amount: str | None) -> str:
    return "no price" if amount is None else f"{Decimal(amount):,}"


def _percent(share: str) -> str:
    return f"{(Decimal(share) * 100).normalize():f} %"


def _words(state: str) -> str:
    return state.replace("_", " ")
