"""What every command has: where the server is, who asks, and whether a person or a program reads the answer."""

import functools
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import click
from rich.console import Console

from service.client.address import DEFAULT_URL
from service.client.ending import Ending, ending_of_failure
from service.client.headroom import Headroom
from service.client.problem import HeadroomError, ProblemError, UnreachableError

NO_KEY = (
    "No API key: set HEADROOM_KEY, or give --key. scripts/run prints one of each role and keeps them in its keys.json."
)


class Watching(Protocol):
    """Whoever tells a person how a call goes."""

    def pause(self, error: HeadroomError, pause_s: float) -> None:
        """Tell why a request is tried again, and when."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the command line."""

    url: str
    key: str | None
    as_json: bool

    def connect(self, watch: Watching) -> Headroom:
        """The server, which tells `watch` when it has to be asked again."""
        if not self.key:
            raise click.UsageError(NO_KEY)
        return Headroom(self.url, self.key, on_pause=watch.pause)

    def print_json(self, document: Mapping[str, Any]) -> None:
        """The document as it came, in UTF-8 whatever the terminal speaks."""
        sys.stdout.flush()
        sys.stdout.buffer.write(json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")
        sys.stdout.buffer.flush()

    def fail(self, error: HeadroomError) -> Ending:
        """Tell a failure in sentences; a program gets the problem document too."""
        if self.as_json and isinstance(error, ProblemError):
            self.print_json(error.document)
        for sentence in error.sentences():
            complain(sentence)
        if isinstance(error, UnreachableError):
            complain("scripts/run starts one on this machine; --url or HEADROOM_URL names another.")
        return ending_of_failure(error)


def complain(sentence: str) -> None:
    """One sentence about what went wrong, on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"headroom: {sentence}", style="red", markup=False)


_OPTIONS = (
    click.option(
        "--url",
        envvar="HEADROOM_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="Address of the server.",
    ),
    click.option(
        "--key",
        envvar="HEADROOM_KEY",
        show_envvar=True,
        help="API key; better in the environment, where no list of processes shows it.",
    ),
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the server's answer as JSON: the result, or the problem document.",
    ),
)


def calling(command: Callable[..., Ending]) -> Callable[..., Ending]:
    """Give a command the options of every call, and end its failures in sentences."""

    @functools.wraps(command)
    def called(*, url: str, key: str | None, as_json: bool, **options: Any) -> Ending:
        call = Call(url=url, key=key, as_json=as_json)
        try:
            return command(call, **options)
        except HeadroomError as error:
            return call.fail(error)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called
