"""`headroom working`: how the numbers of an option were found, step by step."""

import click
from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer, make_console, plain_table
from service.client.call import Call, calling
from service.client.completion import run_ids
from service.client.counted import counted
from service.client.ending import EXIT_CODES, Ending
from service.client.listings import brief
from service.client.progress import Watch


@click.command(epilog=EXIT_CODES)
@click.argument("run_id", metavar="RUN", shell_complete=run_ids)
@click.argument("rank", metavar="[OPTION]", type=click.IntRange(1), default=1)
@calling
def working(call: Call, run_id: str, *, rank: int) -> Ending:
    """Tell how an option's numbers were found.

    Each quantity of a done RUN with its formula, its inputs and where they are from; OPTION is its rank, 1 by itself.
    """
    with Watch() as watch, call.connect(watch) as headroom:
        answer = headroom.working(run_id, rank)
    if call.as_json:
        call.print_json(answer)
    else:
        _print(make_console(), answer)
    return Ending.DONE


def _print(console: Console, answer: Answer) -> None:
    console.print()
    title = f"[bold]option {answer['rank']}[/] of {escape(answer['run_id'])}: {escape(answer['server'])}"
    console.rule(title, align="left")
    table = plain_table("quantity", "value", "how it was found", whole=("value",))
    for step in answer["steps"]:
        value = f"{brief(step['value'])} {step['unit']}".rstrip()
        table.add_row(*(escape(cell) for cell in (step["name"], value, _found(step))))
    console.print(table)
    versions = answer["versions"]
    console.print(
        f"{counted(len(answer['steps']), 'step')}; engine {versions['engine']}, catalog {versions['catalog']}.",
        soft_wrap=True,
    )


def _found(step: Answer) -> str:
    """Formula, inputs and source, a line each."""
    inputs = brief(step["inputs"])
    return "\n".join(line for line in (step["formula"], inputs and f"from {inputs}", step["source"]) if line)
