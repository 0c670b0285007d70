"""`headroom price-books`: the tenant's price books are listed, filled in, uploaded and put in force."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.call import Call, calling
from service.client.choosing import paging
from service.client.counted import counted
from service.client.default import DefaultCommand, WithDefault
from service.client.ending import EXIT_CODES, Ending
from service.client.files import read_file, write_file
from service.client.listings import moment, print_older
from service.client.price_book_calls import TableHead
from service.client.progress import Watch

_LARGEST_BYTES = 64_000_000
_DAY = click.DateTime(["%Y-%m-%d"])
_HEAD = ("version", "state", "currency", "date", "expires_on", "effective_from", "indicative", "used", "note")


@click.group("price-books", cls=WithDefault, default="show")
def price_books() -> None:
    """List your price books, show one, upload one, or put one in force."""


@price_books.command("show", cls=DefaultCommand, epilog=EXIT_CODES)
@click.argument("book_id", metavar="[ID]", required=False)
@click.option("--name", help="List only versions of the book of this name.")
@click.option("--currency", help="List only books in this currency.")
@click.option("--activated/--not-activated", default=None, help="List only books that were put in force, or others.")
@paging
@calling
def show_price_books(
    call: Call,
    book_id: str | None,
    *,
    name: str | None,
    currency: str | None,
    activated: bool | None,
    limit: int,
    cursor: str | None,
) -> Ending:
    """List your price books, or show one with its lines.

    The list is newest first. headroom price-books upload FILE stores one, headroom price-books activate ID puts it in
    force.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        if book_id is not None:
            book = headroom.price_books.get(book_id)
        else:
            page = headroom.price_books.list(
                name=name, currency=currency, activated=activated, limit=limit, cursor=cursor
            )
    if book_id is not None:
        _tell(call, book)
    elif call.as_json:
        call.print_json(page.document)
    else:
        _print_list(make_console(), page.items, more=page.next_cursor)
    return Ending.DONE


@price_books.command("template", epilog=EXIT_CODES)
@click.option("--to", "file", type=click.Path(allow_dash=True), default="-", help="The file. [standard output]")
@calling
def save_template(call: Call, file: str) -> Ending:
    """Write a price book to fill in: a table of every part that quotes ask for, without prices.

    headroom price-books template > book.csv; headroom price-books upload book.csv takes it back.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        content = headroom.price_books.template()
    write_file(file, content)
    return Ending.DONE


@price_books.command("upload", epilog=EXIT_CODES)
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--name", help="For a table: the name of the book.")
@click.option("--currency", help="For a table: the currency of its prices.")
@click.option("--date", "dated", type=_DAY, metavar="DAY", help="For a table: as of which day its prices are.")
@click.option("--expires", "expires_on", type=_DAY, metavar="DAY", help="For a table: its last day.")
@click.option("--indicative", is_flag=True, help="For a table: its prices are orders of magnitude.")
@click.option("--note", help="For a table: what to know about it.")
@click.option("--idempotency-key", help="The same key and file again, within a day, is the same book, not a new one.")
@calling
def upload_price_book(
    call: Call,
    file: str,
    *,
    name: str | None,
    currency: str | None,
    dated: datetime | None,
    expires_on: datetime | None,
    indicative: bool,
    note: str | None,
    idempotency_key: str | None,
) -> Ending:
    """Store a price book, for keys of the role admin.

    FILE is a body of POST /v1/price-books (- is standard input); or, where its name ends in .csv or --name is given, a
    table whose first row names its columns: part, kind, unit, list_price, sku, lead_time_weeks, note. headroom
    price-books template writes one to fill in.
    """
    content = read_file(file, most_bytes=_LARGEST_BYTES)
    head: TableHead | None = None
    if name is not None or PurePath(file).suffix.lower() == ".csv":
        head = TableHead(
            name=name,
            currency=currency,
            date=_day(dated),
            expires_on=_day(expires_on),
            indicative=indicative,
            note=note,
        )
    with Watch() as watch, call.connect(watch) as headroom:
        book = headroom.price_books.upload(content, head=head, idempotency_key=idempotency_key)
    if call.as_json:
        call.print_json(book)
        return Ending.DONE
    told = f"Price book {book['id']}: {book['name']}, version {book['version']}, {counted(book['line_count'], 'line')}"
    lacking = f", {book['without_price']} of them without a price" if book["without_price"] else ""
    way = f"headroom price-books activate {book['id']} puts it in force."
    make_console().print(f"{told}{lacking}. {way}", markup=False, soft_wrap=True)
    for warning in book["warnings"]:
        make_console().print(_warning(warning), markup=False, soft_wrap=True)
    return Ending.DONE


@price_books.command("activate", epilog=EXIT_CODES)
@click.argument("book_id", metavar="ID")
@click.option("--from", "effective_from", type=_DAY, metavar="DAY", help="The first day; today (UTC) unless given.")
@calling
def activate_price_book(call: Call, book_id: str, *, effective_from: datetime | None) -> Ending:
    """Put a price book in force from a day on, for keys of the role admin.

    Once a quote was priced from it, nothing about it changes any more.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        book = headroom.price_books.activate(book_id, effective_from=_day(effective_from))
    if call.as_json:
        call.print_json(book)
    else:
        told = f"Price book {book_id} ({book['name']}, version {book['version']}) is {_words(book['state'])}"
        make_console().print(f"{told}, from {book['effective_from']} on.", markup=False, soft_wrap=True)
    return Ending.DONE


def _tell(call: Call, book: Answer) -> None:
    if call.as_json:
        call.print_json(book)
    else:
        _print_one(make_console(), book)


def _print_list(console: Console, items: Sequence[Answer], *, more: str | None) -> None:
    if not items:
        console.print("There are no such price books.")
        return
    table = plain_table("price book", "name", "version", "state", "currency", "from", "lines", "uploaded")
    for item in items:
        indicative = " (indicative)" if item["indicative"] else ""
        cells = (item["id"], item["name"] + indicative, str(item["version"]), _words(item["state"]), item["currency"])
        rest = (item["effective_from"] or "", str(item["line_count"]), moment(item["created_at"]))
        table.add_row(*(escape(cell) for cell in (*cells, *rest)))
    console.print(table)
    print_older(console, more)


def _print_one(console: Console, book: Answer) -> None:
    console.print()
    console.rule(f"[bold]{escape(book['name'])}[/] ({escape(book['id'])})", align="left")
    if book["indicative"]:
        console.print("INDICATIVE: orders of magnitude, from which no quote is issued.")
    head = plain_table("field", "value")
    for name in _HEAD:
        if book[name] not in {None, ""}:
            head.add_row(name, escape(_words(str(book[name]))))
    console.print(head)
    price = f"list price [{book['currency']}]"
    table = plain_table("part", "kind", "unit", price, "sku", "weeks", "note", whole=("unit", price))
    for line in book["lines"]:
        weeks = "" if line["lead_time_weeks"] is None else str(line["lead_time_weeks"])
        listed = line["list_price"] or "none"
        cells = (line["part"], line["kind"], line["unit"], listed, line["sku"] or "", weeks, line["note"])
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)


def _warning(warning: Answer) -> str:
    place = f"line {warning['line']}" if warning["row"] is None else f"row {warning['row']}"
    near = f" Did you mean {' or '.join(warning['did_you_mean'])}?" if warning["did_you_mean"] else ""
    return f"Warning, {place}: {warning['part']}: {warning['message']}{near}"


def _words(state: str) -> str:
    return state.replace("_", " ")


def _day(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d}"
