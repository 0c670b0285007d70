"""Where long results go: a file that appears once all of it is there, or standard output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.client.batch import CSV, JSON, NDJSON
from service.client.files import FileError

FORMS = {"ndjson": NDJSON, "csv": CSV, "json": JSON}


def form_of(form: str | None, out: str | None) -> str:
    """The media type that was asked for, in so many words or by the name of the file."""
    if form:
        return FORMS[form]
    return CSV if out is not None and out.lower().endswith(".csv") else NDJSON


@contextmanager
def opened(out: str | None) -> Iterator[IO[bytes]]:
    """What to write to; FileError where it cannot be."""
    if out is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = Path(f"{out}.part")
    try:
        with partial.open("wb") as target:
            yield target
        partial.replace(out)
    except OSError as error:
        raise FileError(f"{out} cannot be written: {error.strerror}.") from None
