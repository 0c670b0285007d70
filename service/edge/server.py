"""Granian, taught that a request may be answered from another thread than the one that it came on.

The server's own protocol object takes an answer from any thread, but WSGI has no words for that: what an application
returns is the answer. So the object is handed to the application in the environment, and what is returned for a
request that has left its thread is not passed on. Two private names of the pinned 2.8.7 are leaned on, `_call_wrap` of
its worker and the protocol's `response_bytes`; tests over real sockets guard both, and without them requests wait in
their threads as under any other server.
"""

from collections.abc import Callable
from typing import Any

from granian.server import mp as granian_workers
from granian.wsgi import ResponseIterWrap

from service.edge.answering import ANSWERING

_WRAP = "_wsgi_call_wrap"
# An answer that tells how long it is has been made already.
_WHOLE = "content-length"
_Runner = Callable[[Any, dict[str, Any]], int]


class _Answering:
    """The protocol object of one request, as the server's runner and the application see it."""

    __slots__ = ("_left", "_protocol")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._left = False

    def leave(self) -> None:
        self._left = True

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self._protocol.response_bytes(status, headers, body)

    def answer_in_pieces(self, status: int, headers: list[tuple[str, str]], pieces: Any) -> None:
        if any(name.lower() == _WHOLE for name, _ in headers):
            # All of it is there. The server would come back for every piece with a thread of its own.
            self.answer(status, headers, _joined(pieces))
        else:
            wrapped = ResponseIterWrap(pieces)  # type: ignore[no-untyped-call]
            self._protocol.response_iter(status, headers, wrapped)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """What the application returned at once."""
        if not self._left:
            self._protocol.response_bytes(status, headers, body)

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        """What the application returned piece by piece."""
        if not self._left:
            self.answer_in_pieces(status, headers, body.inner)


def _joined(pieces: Any) -> bytes:
    try:
        return b"".join(pieces)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def let_requests_leave() -> None:
    """To be called in a process of the server, before it begins to serve."""
    wrap = getattr(granian_workers, _WRAP)

    def wrapped(*arguments: Any) -> _Runner:
        runner: _Runner = wrap(*arguments)

        def run(protocol: Any, scope: dict[str, Any]) -> int:
            scope[ANSWERING] = answering = _Answering(protocol)
            return runner(answering, scope)

        return run

    setattr(granian_workers, _WRAP, wrapped)
