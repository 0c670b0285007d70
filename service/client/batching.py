"""`headroom batch FILE` and `headroom batches`: many workloads at once, watched, resumed, read and cancelled."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.batch import Batch, batch_of, is_one_over_lines, media_type_of
from service.client.batch_progress import BatchWatch, duration, pace
from service.client.call import Call, calling, complain
from service.client.choosing import paging
from service.client.counted import counted
from service.client.default import DefaultCommand, WithDefault
from service.client.ending import EXIT_CODES, Ending
from service.client.files import FileError, read_file, would_replace
from service.client.headroom import Headroom
from service.client.listings import moment, print_older
from service.client.out import FORMS, check_out, form_of, out_option, write_pieces
from service.client.problem import HeadroomError

_LARGEST_BYTES = 64_000_000
_WITHIN_S = 24 * 3600.0
_MOST_TOLD = 10

_out = out_option("the results")
_results = click.option(
    "--results", "form", type=click.Choice(["ndjson", "csv"]), help="The form of the results; ndjson is the default."
)
_within = click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0),
    default=_WITHIN_S,
    show_default=True,
    help="Seconds to wait for the batch to end.",
)


@click.command(epilog=EXIT_CODES)
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--name", help="A name for the batch.")
@click.option("--format", "given", type=click.Choice(list(FORMS)), help="What FILE is, where its name does not say.")
@click.option("--dry-run", is_flag=True, help="Check every workload, size and keep nothing.")
@click.option("--no-wait", is_flag=True, help="Print the batch as soon as it is accepted.")
@click.option("--idempotency-key", help="The same key and file again, within a day, is the same batch.")
@_out
@_results
@_within
@calling
def batch(
    call: Call,
    file: str,
    *,
    name: str | None,
    given: str | None,
    dry_run: bool,
    no_wait: bool,
    idempotency_key: str | None,
    out: str | None,
    form: str | None,
    within_s: float,
) -> Ending:
    """Size many workloads at once and write their results.

    FILE (- is standard input) has up to 100,000 bodies of POST /v1/workloads: one per line, as a JSON list, or as CSV
    whose first row names the fields by their path, such as workload.demand.requests_s. A workload that is wrong is
    told with its line, and the others go on.
    """
    if (out is not None or form is not None) and (dry_run or no_wait):
        raise click.UsageError(f"With {'--dry-run' if dry_run else '--no-wait'} there are no results to write.")
    if out is not None and would_replace(out, file):
        raise click.UsageError(f"The results would take the place of the workloads in {file}: give --out another name.")
    check_out(out)
    body = read_file(file, most_bytes=_LARGEST_BYTES)
    media_type = FORMS[given] if given else media_type_of(file, body)
    if media_type == FORMS["ndjson"] and is_one_over_lines(body):
        raise FileError(
            f"{file} holds one workload, over several lines: headroom size {file} sizes it. A batch has one on each "
            "line, or a JSON list of them."
        )
    with BatchWatch() as watch, call.connect(watch) as headroom:
        if dry_run:
            return _tell_dry_run(call, headroom.batches.dry_run(body, media_type=media_type))
        with _lost_without(idempotency_key or uuid.uuid4().hex) as key:
            posted = headroom.batches.submit(body, media_type=media_type, name=name, idempotency_key=key)
        watch(posted)
        if no_wait:
            return _show(call, posted)
        return _follow(headroom, posted, watch=watch, within_s=within_s, out=out, form=form)


@click.group(cls=WithDefault, default="show")
def batches() -> None:
    """List your batches, show or follow one, or cancel one."""


@batches.command("show", cls=DefaultCommand, epilog=EXIT_CODES)
@click.argument("batch_id", metavar="[ID]", required=False)
@click.option("--wait", is_flag=True, help="Follow the batch to its end, and write its results.")
@click.option("--status", help="Only accepted, running, done or cancelled ones.")
@_out
@_results
@_within
@paging
@calling
def show_batches(
    call: Call,
    batch_id: str | None,
    *,
    wait: bool,
    status: str | None,
    out: str | None,
    form: str | None,
    within_s: float,
    limit: int,
    cursor: str | None,
) -> Ending:
    """List your batches, or show one.

    The list is newest first; with an ID, how far that one is, and with --out or --results its results so far. --wait
    follows it to its end first. headroom batches cancel ID ends one.
    """
    if batch_id is None and (wait or out is not None or form is not None):
        raise click.UsageError("--wait, --out and --results are of one batch: headroom batches ID --wait.")
    check_out(out)
    with BatchWatch() as watch, call.connect(watch) as headroom:
        if batch_id is None:
            page = headroom.batches.list(status=status, limit=limit, cursor=cursor)
            if call.as_json:
                call.print_json(page.document)
            else:
                _print(make_console(), page.items, more=page.next_cursor)
            return Ending.DONE
        found = headroom.batches.get(batch_id)
        if wait:
            return _follow(headroom, found, watch=watch, within_s=within_s, out=out, form=form)
        if out is not None or form is not None:
            _write(headroom, found, out=out, form=form)
    return _show(call, found, results=out is not None or form is not None)


@batches.command("cancel", epilog=EXIT_CODES)
@click.argument("batch_id", metavar="ID")
@calling
def cancel_batch(call: Call, batch_id: str) -> Ending:
    """End a batch for good: what was sized stays.

    A second time changes nothing; a batch that is done is refused.
    """
    with BatchWatch() as watch, call.connect(watch) as headroom:
        cancelled = headroom.batches.cancel(batch_id)
    _show(call, cancelled)
    return Ending.DONE


@contextmanager
def _lost_without(key: str) -> Iterator[str]:
    """Tells how a batch is found whose id never came: the server may have it, and nobody here can know."""
    try:
        yield key
    except (KeyboardInterrupt, HeadroomError) as error:
        if isinstance(error, KeyboardInterrupt) or error.may_be_done:
            complain(
                f"The batch may have been accepted. The same command with --idempotency-key {key} finds it, or sends "
                "it if it was not; headroom batches lists yours."
            )
        raise


def _follow(
    headroom: Headroom,
    batch: Batch,
    *,
    watch: BatchWatch,
    within_s: float,
    out: str | None,
    form: str | None,
) -> Ending:
    try:
        ended = headroom.batches.wait(batch, within_s=within_s, watch=watch)
    except (KeyboardInterrupt, HeadroomError):
        complain(
            f"The batch goes on; headroom batches {batch.id} --wait follows it again, "
            f"headroom batches cancel {batch.id} ends it."
        )
        raise
    _write(headroom, ended, out=out, form=form)
    _sum_up(ended)
    return _ending(ended)


def _ending(batch: Batch) -> Ending:
    return Ending.FAILED if batch.troubled else Ending.DONE


def _show(call: Call, batch: Batch, *, results: bool = False) -> Ending:
    """How far it is; on standard error where the results are on the other."""
    if call.as_json and not results:
        call.print_json(batch.document)
    elif results:
        _sum_up(batch)
    else:
        make_console().print(_told(batch), markup=False, soft_wrap=True)
    return Ending.DONE if batch.open else _ending(batch)


def _sum_up(batch: Batch) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(_told(batch), markup=False)


def _told(batch: Batch) -> str:
    """Where a batch stands, in one sentence."""
    ended = [f"{count:,} {_verb(state, count)}" for state, count in batch.counts.items() if count]
    reused = f" ({batch.reused_items:,} had an answer already)" if batch.reused_items else ""
    speed = f"; {pace(batch)}" if pace(batch) else ""
    return f"Batch {batch.id} is {batch.status}: of {counted(batch.items, 'item')} {', '.join(ended)}{reused}{speed}."


def _verb(state: str, count: int) -> str:
    words = {"done": ("fits", "fit"), "infeasible": ("does not fit", "do not fit")}
    return words.get(state, (state, state))[count != 1]


def _write(headroom: Headroom, batch: Batch, *, out: str | None, form: str | None) -> None:
    """The results, to a file under its name only once all of them are there."""
    write_pieces(headroom.batches.results(batch.id, media_type=form_of(form, out)), out=out)


def _tell_dry_run(call: Call, found: Mapping[str, Any]) -> Ending:
    if call.as_json:
        call.print_json(found)
    else:
        console = make_console()
        console.print(f"Of {counted(found['items'], 'item')} {found['accepted']:,} would be sized.", markup=False)
        for refusal in found["refusals"][:_MOST_TOLD]:
            console.print(f"line {refusal['line']}: {refusal['error']['message']}", markup=False, soft_wrap=True)
        more = found["refused"] - min(len(found["refusals"]), _MOST_TOLD)
        if more:
            console.print(f"... and {more:,} more {'is' if more == 1 else 'are'} wrong.", markup=False)
    return Ending.FAILED if found["refused"] else Ending.DONE


def _print(console: Console, items: Sequence[Answer], *, more: str | None) -> None:
    if not items:
        console.print("There are no such batches.")
        return
    table = plain_table("batch", "status", "items", "ended", "fit", "refused, failed", "left", "created", "name")
    for item in items:
        found = batch_of(item)
        trouble = found.counts.get("refused", 0) + found.counts.get("failed", 0)
        left = "" if found.left_s is None else duration(found.left_s)
        cells = (
            *(found.id, found.status.value, f"{found.items:,}", f"{found.progress_fraction:.0%}"),
            *(f"{found.counts.get('done', 0):,}", f"{trouble:,}", left, moment(item["created_at"]), found.name or ""),
        )
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    print_older(console, more)
