"""Whoever reads the output may leave before its end, as head does: no fault, and nobody is there to be told of it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from service.client.ending import Ending


@contextmanager
def while_read() -> Iterator[None]:
    """Ends the program without a word, as SIGPIPE would, once nobody reads what it writes to standard output."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _leave()
    except SystemExit as ended:
        # So rich ends a program, with an exit code of its own.
        if isinstance(ended.__context__, BrokenPipeError):
            _leave()
        raise


class ReadGroup(click.Group):
    """A group of commands whose output may be left unread; click by itself would end them with 1, as a fault does."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Where `--help` is printed."""
        with while_read():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Where everything else is."""
        with while_read():
            return super().invoke(ctx)


def _leave() -> None:
    # What is still in the buffers goes nowhere, or Python would complain about it at its end.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    raise SystemExit(Ending.UNREAD) from None
