"""Answering from another thread: a request may leave its thread before it is answered, where the server lets it."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from werkzeug.test import run_wsgi_app

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# In the environment of a request whose server takes the answer from any thread.
ANSWERING = "headroom.answering"
# What the application returns then; whoever was told to answer does so.
LEFT: list[bytes] = []


class Answering(Protocol):
    """Who takes the answer of one request; any thread may give it, and only the first one counts."""

    def leave(self) -> None:
        """From now on what the application returns is no answer."""
        ...

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Status, headers and body of the answer."""
        ...

    def answer_in_pieces(self, status: int, headers: list[tuple[str, str]], pieces: Iterable[bytes]) -> None:
        """The same with a body that comes as it is made."""
        ...


def answering_of(environ: Environ) -> Answering | None:
    """Who takes the answer of a request; None where another server or a test calls."""
    return cast("Answering | None", environ.get(ANSWERING))


def answer_with(app: Wsgi, environ: Environ, answering: Answering, *more: tuple[str, str]) -> int:
    """Give the application's answer, with more headers, from the thread that calls, which nobody may leave again.

    Its status, once it is given.
    """
    environ.pop(ANSWERING, None)
    pieces, status, headers = run_wsgi_app(app, environ)
    code = int(status[:3])
    answering.answer_in_pieces(code, [*headers.to_wsgi_list(), *more], pieces)
    return code
