"""The gate: only so many requests are worked on at once, and one whose body is on its way is not worked on.

The server lets a thread wait for a body for as long as its sender likes: it has no time limit for bodies (its issue
728), and a thread that reads cannot be interrupted. So it has many more threads than there are places where requests
are worked on: whoever reads gives its place away. Only some of the threads may read at once, and half of those for one
tenant; and after a while another thread answers 408. Whoever sends slowly holds up nobody else.
"""

import io
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol, cast

import structlog
from flask import Flask
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_content_length

from service.edge.authentication import caller_of
from service.edge.context import runtime_of
from service.edge.requests import FAILED_BEFORE
from service.errors import BodyTooSlowError, RateLimitedError, UnavailableError

log = structlog.get_logger(__name__)

# So many threads of the server for each place where a request is worked on, and the part of them that may read bodies.
THREADS_PER_PLACE = 8
_READERS = 0.75
_WATCH_S = 0.5
_RETRY_AFTER_S = 1

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class ServerProtocol(Protocol):
    """How the server is told an answer; any thread may do so, and only the first answer counts."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Status, headers and body of the answer."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """A thread that reads a body, since when, and the right to answer: whoever takes it first has it."""

    environ: Environ
    protocol: ServerProtocol
    since_s: float
    right: threading.Lock = field(default_factory=threading.Lock)

    def take_right(self) -> bool:
        return self.right.acquire(blocking=False)


class Seats:
    """So many threads may read bodies at once, and so many of them for one tenant."""

    def __init__(self, *, most: int, most_tenant: int) -> None:
        self._most = most
        self._most_tenant = most_tenant
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, tenant_id: str) -> Iterator[None]:
        """A seat. RateLimitedError when the tenant has too many already, UnavailableError when all are taken."""
        with self._lock:
            if self._taken[tenant_id] >= self._most_tenant:
                raise RateLimitedError(
                    f"{self._most_tenant} bodies of your tenant are still on their way; send fewer at once.",
                    retry_after_s=_RETRY_AFTER_S,
                )
            if self._taken.total() >= self._most:
                raise UnavailableError(
                    "Too many bodies are still on their way; ask again later.", retry_after_s=_RETRY_AFTER_S
                )
            self._taken[tenant_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[tenant_id] -= 1


class Watch:
    """Answers for the threads whose body does not come."""

    def __init__(self, answer: Callable[[_Reading], None], *, within_s: float) -> None:
        self._answer = answer
        self._within_s = within_s
        self._reading: set[_Reading] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, environ: Environ, protocol: ServerProtocol) -> Iterator[_Reading]:
        """While this thread reads, the time is watched."""
        if self._thread is None:
            self._begin()
        reading = _Reading(environ, protocol, time.monotonic())
        self._reading.add(reading)
        try:
            yield reading
        finally:
            self._reading.discard(reading)

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="bodies", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        while True:
            time.sleep(_WATCH_S)
            before_s = time.monotonic() - self._within_s
            for reading in [one for one in self._reading.copy() if one.since_s < before_s]:
                if reading.take_right():
                    try:
                        self._answer(reading)
                    except Exception as error:
                        log.exception("late_body_not_answered", error=type(error).__name__)


class _AlreadyAnsweredError(BaseException):
    """The thread that read has nothing more to say; nothing but the gate may catch this."""


class _Body:
    """A body that is read when somebody asks for it, as a whole, while the place is somebody else's."""

    def __init__(self, gate: "Gate", environ: Environ) -> None:
        self._gate = gate
        self._environ = environ
        self._stream = environ["wsgi.input"]
        self._read: io.BytesIO | None = None

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all. Raises RateLimitedError and UnavailableError where too many bodies are read."""
        if self._read is None:
            self._read = io.BytesIO(self._gate.read_body(self._environ, self._stream))
        return self._read.read(size)


class Gate:
    """The outermost WSGI application."""

    def __init__(self, app: Flask, inner: Wsgi) -> None:
        settings = runtime_of(app).settings
        readers = int(settings.web_threads * THREADS_PER_PLACE * _READERS)
        self._app = app
        self._inner = inner
        self._within_s = settings.body_timeout_s
        self._most_bytes = int(app.config["MAX_CONTENT_LENGTH"])
        self._places = threading.Semaphore(settings.web_threads)
        self._seats = Seats(most=readers, most_tenant=readers // 2)
        self._watch = Watch(self._refuse, within_s=settings.body_timeout_s)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let the request in once there is a place."""
        environ["wsgi.input"] = _Body(self, environ)
        with self._places:
            try:
                return self._inner(environ, start_response)
            except _AlreadyAnsweredError:
                start_response("408 REQUEST TIMEOUT", [])
                return []

    def read_body(self, environ: Environ, stream: Any) -> bytes:
        """The whole body; one that is too long is cut off after one byte more than it may have."""
        length_bytes = get_content_length(environ)
        most_bytes = self._most_bytes + 1 if length_bytes is None else min(length_bytes, self._most_bytes + 1)
        # Nobody reads whose caller was not found, and a caller that was found is remembered.
        caller = caller_of(self._app, environ.get("HTTP_AUTHORIZATION", ""))
        with self._seats.taken(caller.tenant_id):
            self._places.release()
            try:
                return self._watched(environ, stream, most_bytes)
            finally:
                self._places.acquire()

    def _watched(self, environ: Environ, stream: Any, most_bytes: int) -> bytes:
        protocol = _protocol_of_server()
        if protocol is None:
            return cast("bytes", stream.read(most_bytes))
        with self._watch.over(environ, protocol) as reading:
            body = cast("bytes", stream.read(most_bytes))
        if not reading.take_right():
            raise _AlreadyAnsweredError
        return body

    def _refuse(self, reading: _Reading) -> None:
        """Answer for a thread that still reads; it may go on for as long as the connection is open."""
        error = BodyTooSlowError(f"The body did not arrive within {self._within_s:g} s; send the request again.")
        environ = {**reading.environ, "wsgi.input": io.BytesIO(), FAILED_BEFORE: error}
        chunks, status, headers = run_wsgi_app(self._inner, environ, buffered=True)
        answered = [*headers.to_wsgi_list(), ("Connection", "close")]
        reading.protocol.response_bytes(int(status[:3]), answered, b"".join(chunks))


def let_in_through_gate(app: Flask) -> None:
    """Put the gate in front of everything."""
    app.wsgi_app = Gate(app, cast("Wsgi", app.wsgi_app))  # type: ignore[method-assign]


def _protocol_of_server() -> ServerProtocol | None:
    """What the server keeps to itself, a few calls up; None where another server or a test calls."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - no other way leads there
    while frame is not None:
        if frame.f_code.co_name == "_runner":
            return cast("ServerProtocol | None", frame.f_locals.get("proto"))
        frame = frame.f_back
    return None
