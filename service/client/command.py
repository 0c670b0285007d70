"""`headroom`: the command line of the HTTP API, for people and for scripts."""

import io
import json
import sys
import time

import click

from service.client.accuracy import print_accuracy
from service.client.answers import make_console, print_result
from service.client.audit import audit
from service.client.batching import batch, batches
from service.client.call import Call, calling, complain
from service.client.choice import RunChoice
from service.client.choosing import PAGE, choosing_runs, paging
from service.client.completion import SHELLS, record_ids, run_ids, script
from service.client.default import DefaultCommand, WithDefault
from service.client.differences import print_difference
from service.client.ending import EXIT_CODES, Ending, ending_of_run
from service.client.estimates import print_estimate
from service.client.files import read_file
from service.client.headroom import RUN_WITHIN_S, Headroom
from service.client.listings import print_runs, timing, told
from service.client.occurring import occurrences
from service.client.price_books import price_books
from service.client.problem import HeadroomError, ProblemError
from service.client.progress import Watch
from service.client.quotes import quotes
from service.client.reader import ReadGroup, while_read
from service.client.records import HIGHLIGHTS, print_record, print_records
from service.client.run import Run
from service.client.scheduling import schedules
from service.client.webhooks import webhooks
from service.client.working import working
from service.client.workloads import workloads

NAME = "headroom"
# The server has limits of its own and tells them; this one keeps a wrong file from filling the memory.
_LARGEST_BYTES = 64_000_000

_file = click.argument("file", type=click.Path(allow_dash=True))
_top = click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="How many options to show.")
_within = click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0),
    default=RUN_WITHIN_S,
    show_default=True,
    help="Seconds to wait for the run to end, from the start of the command on.",
)


@click.group(cls=ReadGroup, name=NAME, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Size AI and scientific workloads: posts them to a Headroom server and shows what it answers.

    \b
    export HEADROOM_URL=http://127.0.0.1:8080 HEADROOM_KEY=hr_...
    headroom size config/examples/inference-chat-llama-3.3-70b.json
    """  # noqa: D301  # the backspace is click's mark for lines that stay as they are


@cli.command(epilog=EXIT_CODES)
@_file
@_top
@_within
@click.option("--no-wait", is_flag=True, help="Print the run as soon as it is queued.")
@click.option("--idempotency-key", help="The same key and file again, within a day, is the same run, not a new one.")
@calling
def size(call: Call, file: str, *, top: int, within_s: float, no_wait: bool, idempotency_key: str | None) -> Ending:
    """Size a workload and show its options.

    FILE is a body of POST /v1/workloads, as in config/examples; - is standard input.
    """
    started_s = time.monotonic()
    body = read_file(file, most_bytes=_LARGEST_BYTES)
    with Watch() as watch, call.connect(watch) as headroom:
        # It is told before it is waited for: who interrupts the wait must know which run goes on.
        run = headroom.submit(body, idempotency_key=idempotency_key, within_s=within_s)
        if not no_wait:
            run = _follow(headroom, run, watch=watch, within_s=within_s, started_s=started_s)
    return _show(call, run, name=_name_in(body) or _spelled(file), top=top)


@cli.command(epilog=EXIT_CODES)
@_file
@calling
def estimate(call: Call, file: str) -> Ending:
    """Tell what fixed hardware does.

    FILE (- is standard input) has a workload without demand or target, and a deployment:

    \b
    {"workload": {"kind": "inference", "model": "llama-3.3-70b", "isl_tokens": 2048, "osl_tokens": 300},
     "deployment": {"gpu": "b200-sxm", "gpus": 8}}
    """  # noqa: D301  # the backspace is click's mark for lines that stay as they are
    body = read_file(file, most_bytes=_LARGEST_BYTES)
    with Watch() as watch, call.connect(watch) as headroom:
        answer = headroom.estimate(body)
    if call.as_json:
        call.print_json(answer)
    else:
        print_estimate(make_console(), _name_in(body) or _spelled(file), answer)
    return Ending.DONE if answer["fits"] else Ending.NOTHING_FITS


@cli.group(cls=WithDefault, default="show")
def runs() -> None:
    """List your runs, show one, or cancel one."""


@runs.command("show", cls=DefaultCommand, epilog=EXIT_CODES)
@click.argument("run_id", metavar="[ID]", required=False, shell_complete=run_ids)
@_top
@_within
@click.option("--wait", is_flag=True, help="Follow the run to its end.")
@choosing_runs
@paging
@calling
def show_runs(
    call: Call,
    run_id: str | None,
    *,
    top: int,
    within_s: float,
    wait: bool,
    only: RunChoice,
    limit: int,
    cursor: str | None,
) -> Ending:
    """List your runs, or show one.

    The list is newest first; with an ID, that run and its result, once it is done. headroom runs cancel ID ends one.
    """
    if wait and run_id is None:
        raise click.UsageError("--wait follows one run: headroom runs ID --wait.")
    started_s = time.monotonic()
    with Watch() as watch, call.connect(watch) as headroom:
        if run_id is None:
            page = headroom.runs(only, limit=limit, cursor=cursor)
        else:
            run = headroom.run(run_id)
            if wait:
                run = _follow(headroom, run, watch=watch, within_s=within_s, started_s=started_s)
            name = run.id if call.as_json else _name_of(headroom, run)
    if run_id is not None:
        return _show(call, run, name=name, top=top)
    if call.as_json:
        call.print_json(page.document)
    else:
        print_runs(make_console(), page.items, more=page.next_cursor)
    return Ending.DONE


@runs.command("cancel", epilog=EXIT_CODES)
@click.argument("run_id", metavar="ID", shell_complete=run_ids)
@calling
def cancel_run(call: Call, run_id: str) -> Ending:
    """End a queued or running run for good.

    A second time changes nothing; a run that is done or failed is refused.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        run = headroom.cancel(run_id)
    if call.as_json:
        call.print_json(run.document)
    else:
        make_console().print(told(run), markup=False, soft_wrap=True)
    return Ending.DONE


@cli.command(epilog=EXIT_CODES)
@click.argument("run_id", metavar="A", shell_complete=run_ids)
@click.argument("other_id", metavar="B", shell_complete=run_ids)
@calling
def diff(call: Call, run_id: str, other_id: str) -> Ending:
    """Tell what changed from run A to run B."""
    with Watch() as watch, call.connect(watch) as headroom:
        answer = headroom.diff(run_id, other_id)
    if call.as_json:
        call.print_json(answer)
    else:
        print_difference(make_console(), answer, of=run_id, against=other_id)
    return Ending.DONE


@cli.command(epilog=EXIT_CODES)
@click.option("--by", metavar="NAMES", help="Split by source, model, gpu, precision, mode or split, commas between.")
@click.option("--kind", help="Only inference, training or science.")
@click.option("--model", help="Only this model or scientific application.")
@click.option("--gpu", help="Only runs on this GPU.")
@click.option("--precision", help="Only this number format.")
@click.option("--source", help="Only what this source published.")
@click.option("--split", help="Only calibration, or only validation.")
@click.option("--metric", help="Only this metric.")
@calling
def accuracy(call: Call, **options: str | None) -> Ending:
    """Show how far predictions lie from what others measured."""
    with Watch() as watch, call.connect(watch) as headroom:
        summary = headroom.accuracy_summary(**options)
    if call.as_json:
        call.print_json(summary)
    else:
        print_accuracy(make_console(), summary)
    return Ending.DONE


@cli.command(epilog=EXIT_CODES)
@click.argument("kind", type=click.Choice(list(HIGHLIGHTS)), metavar="KIND")
@click.argument("record_id", metavar="[ID]", required=False, shell_complete=record_ids)
@calling
def catalog(call: Call, kind: str, record_id: str | None) -> Ending:
    """Show facts and their sources.

    KIND is gpus, servers, networks, storage, racks, models or applications; with an ID, all about that one.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        if record_id is not None:
            answer = headroom.catalog_record(kind, record_id)
        else:
            page = headroom.catalog(kind, limit=PAGE)
            records = list(page.items)
            while page.next_cursor is not None:
                page = headroom.catalog(kind, limit=PAGE, cursor=page.next_cursor)
                records += page.items
            answer = {**page.document, "items": records}
    if call.as_json:
        call.print_json(answer)
    elif record_id is not None:
        print_record(make_console(), answer)
    else:
        print_records(make_console(), kind, records)
    return Ending.DONE


cli.add_command(working)
cli.add_command(workloads)
cli.add_command(quotes)
cli.add_command(price_books)
cli.add_command(audit)
cli.add_command(batch)
cli.add_command(batches)
cli.add_command(schedules)
cli.add_command(occurrences)
cli.add_command(webhooks)


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> Ending:
    """Print the completion of a shell.

    \b
    bash:  eval "$(headroom completion bash)"
    zsh:   eval "$(headroom completion zsh)"
    fish:  headroom completion fish | source
    """  # noqa: D301  # the backspace is click's mark for lines that stay as they are
    click.echo(script(cli, shell, name=NAME))
    return Ending.DONE


def _follow(headroom: Headroom, run: Run, *, watch: Watch, within_s: float, started_s: float) -> Run:
    try:
        return headroom.wait(run, within_s=within_s, waited_s=time.monotonic() - started_s, watch=watch)
    except (KeyboardInterrupt, HeadroomError):
        complain(
            f"The run goes on; headroom runs {run.id} --wait follows it again, headroom runs cancel {run.id} ends it."
        )
        raise


def _show(call: Call, run: Run, *, name: str, top: int) -> Ending:
    if call.as_json:
        call.print_json(run.document)
    elif run.result is not None:
        print_result(make_console(), name, run.result, note=timing(run), top=top)
    elif run.open:
        make_console().print(told(run), markup=False, soft_wrap=True)
    else:
        complain(told(run))
    return ending_of_run(run)


def _name_in(body: bytes) -> str | None:
    """The name that a body gives itself; whether the rest is right is the server's to say."""
    try:
        name = json.loads(body).get("name")
    except (ValueError, AttributeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def _spelled(file: str) -> str:
    return "standard input" if file == "-" else file


def _name_of(headroom: Headroom, run: Run) -> str:
    try:
        return str(headroom.workload(run.workload_id).get("name") or run.id)
    except ProblemError:
        # The answer is worth more than its headline.
        return run.id


def main(arguments: list[str]) -> int:
    """Run one command; its exit code. Whatever happens is told in sentences, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character gets a question mark.
            stream.reconfigure(errors="replace")
    with while_read():
        return _ended(arguments)


def _ended(arguments: list[str]) -> int:
    try:
        return int(cli.main(args=arguments, prog_name=NAME, standalone_mode=False) or Ending.DONE)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted.")
        return Ending.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # no traceback ever: the sentence names the fault and the way round it
        complain(
            f"this is a fault of the program ({type(error).__name__}: {error}), or the server is of another version; "
            "with --json the answer is shown as it came."
        )
        return Ending.FAULT
