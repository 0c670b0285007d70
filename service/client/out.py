"""Where long results go: to a file or to standard output, and in which form."""

from collections.abc import Callable, Iterator
from typing import Any

import click

from service.client.batch import CSV, JSON, NDJSON
from service.client.files import check_writable, opened

FORMS = {"ndjson": NDJSON, "csv": CSV, "json": JSON}
_STANDARD_OUTPUT = "-"


def out_option(what: str) -> Callable[..., Any]:
    """The option that says where results go; `what` they are, for its help."""
    return click.option(
        "--out",
        type=click.Path(dir_okay=False, allow_dash=True),
        help=f"Where {what} go, as CSV where the name ends so; - is standard output.",
    )


def form_of(form: str | None, out: str | None) -> str:
    """The media type that was asked for, in so many words or by the name of the file."""
    if form:
        return FORMS[form]
    return CSV if out is not None and out.lower().endswith(".csv") else NDJSON


def check_out(out: str | None) -> None:
    """FileError where results could not be written: before anything is sent or waited for."""
    check_writable(out or _STANDARD_OUTPUT)


def write_pieces(pieces: Iterator[bytes], *, out: str | None) -> None:
    """The results, to a file under its name only once all of them are there; None is standard output."""
    with opened(out or _STANDARD_OUTPUT) as target:
        for piece in pieces:
            target.write(piece)
