"""The gate: only so many requests are worked on at once, and one whose body is on its way is not worked on.

The server lets a thread wait for a body for as long as its sender likes: it has no time limit for bodies (its issue
728), and a thread that reads cannot be interrupted. So it has many more threads than there are places where requests
are worked on: whoever reads for a while gives its place away. Only some of the threads may read at once, and a quarter
of those for one tenant; and after a while another thread answers 408. Whoever sends slowly holds up nobody else, but a
sender that does not hang up after its 408 keeps its thread: four tenants that all do that can keep others from writing.
"""

import io
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import Any, Protocol, cast

import structlog
from flask import Flask
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_content_length

from service.edge.authentication import caller_of
from service.edge.context import runtime_of
from service.edge.express import with_express_lane
from service.edge.places import Places
from service.edge.requests import FAILED_BEFORE
from service.errors import BodyTooSlowError, RateLimitedError, UnavailableError

log = structlog.get_logger(__name__)

# So many threads of the server for each place where a request is worked on, and the part of them that may read bodies.
THREADS_PER_PLACE = 8
_READERS = 0.75
# Who reads for longer than this gives its place away: most bodies are there at once, and then that would cost more.
_WATCH_S = 0.25
_RETRY_AFTER_S = 1
_HAS_PLACE = "headroom.has_place"

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class ServerProtocol(Protocol):
    """How the server is told an answer; any thread may do so, and only the first answer counts."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Status, headers and body of the answer."""
        ...


class _Reading:
    """A thread that reads a body. What becomes of it is settled once: it ends in time, or it is answered for."""

    __slots__ = ("_lock", "answered", "ended", "environ", "place_given", "protocol", "since_s", "tenant_id")

    def __init__(self, environ: Environ, protocol: ServerProtocol | None, tenant_id: str) -> None:
        self.environ = environ
        self.protocol = protocol
        self.tenant_id = tenant_id
        self.since_s = time.monotonic()
        self.ended = self.answered = self.place_given = False
        self._lock = threading.Lock()

    def end(self) -> None:
        """The body is there, or will never be."""
        with self._lock:
            self.ended = True

    def gives_place(self) -> bool:
        """Whether its place is to be given away now."""
        with self._lock:
            gives = not self.ended and not self.place_given
            self.place_given |= gives
        return gives

    def is_to_be_answered(self) -> bool:
        """Whether it is to be answered for now."""
        with self._lock:
            answers = not self.ended and not self.answered and self.protocol is not None
            self.answered |= answers
        return answers


class Readers:
    """The threads that read bodies: so many at once, and so many of them for one tenant."""

    def __init__(self, *, most: int, most_tenant: int) -> None:
        self._most = most
        self._most_tenant = most_tenant
        self._lock = threading.Lock()
        self._reading: set[_Reading] = set()

    def begin(self, environ: Environ, protocol: ServerProtocol | None, tenant_id: str) -> _Reading:
        """One more. RateLimitedError when the tenant has too many already, UnavailableError when all have."""
        reading = _Reading(environ, protocol, tenant_id)
        with self._lock:
            if len(self._reading) >= self._most_tenant:
                self._refuse(tenant_id)
            self._reading.add(reading)
        return reading

    def _refuse(self, tenant_id: str) -> None:
        if sum(one.tenant_id == tenant_id for one in self._reading) >= self._most_tenant:
            raise RateLimitedError(
                f"{self._most_tenant} bodies of your tenant are still on their way; send fewer at once.",
                retry_after_s=_RETRY_AFTER_S,
            )
        if len(self._reading) >= self._most:
            raise UnavailableError(
                "Too many bodies are still on their way; ask again later.", retry_after_s=_RETRY_AFTER_S
            )

    def end(self, reading: _Reading) -> None:
        """One less."""
        reading.end()
        with self._lock:
            self._reading.discard(reading)

    def since(self, before_s: float) -> list[_Reading]:
        """Those who have read since then, or for longer."""
        with self._lock:
            return [reading for reading in self._reading if reading.since_s <= before_s]


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

    def __init__(self, app: Flask, long_way: Wsgi) -> None:
        settings = runtime_of(app).settings
        readers = int(settings.web_threads * THREADS_PER_PLACE * _READERS)
        self._app = app
        self._long_way = long_way
        self._places = Places(settings.web_threads)
        # The short way takes a place for what it writes, and none for its body.
        self._inner = with_express_lane(app, self._in_a_place, self._places)
        self._within_s = settings.body_timeout_s
        self._most_bytes = int(app.config["MAX_CONTENT_LENGTH"])
        self._readers = Readers(most=readers, most_tenant=readers // 4)
        self._watching = threading.Lock()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let the request in."""
        environ["wsgi.input"] = _Body(self, environ)
        try:
            return self._inner(environ, start_response)
        except _AlreadyAnsweredError:
            start_response("408 REQUEST TIMEOUT", [])
            return []

    def _in_a_place(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._places.take()
        environ[_HAS_PLACE] = True
        try:
            return self._long_way(environ, start_response)
        finally:
            self._places.give()

    def read_body(self, environ: Environ, stream: Any) -> bytes:
        """The whole body; one that is too long is cut off after one byte more than it may have."""
        length_bytes = get_content_length(environ)
        most_bytes = self._most_bytes + 1 if length_bytes is None else min(length_bytes, self._most_bytes + 1)
        # Nobody reads whose caller was not found, and a caller that was found is remembered.
        caller = caller_of(self._app, environ.get("HTTP_AUTHORIZATION", ""))
        self._have_watched()
        reading = self._readers.begin(environ, _protocol_of_server(), caller.tenant_id)
        try:
            body = cast("bytes", stream.read(most_bytes))
        finally:
            self._readers.end(reading)
            if reading.place_given:
                self._places.take()
        if reading.answered:
            raise _AlreadyAnsweredError
        return body

    def _have_watched(self) -> None:
        """Begun with the first body: a process that is forked has no threads."""
        if self._watching.acquire(blocking=False):
            try:
                threading.Thread(target=self._watch, name="bodies", daemon=True).start()
            except RuntimeError:
                # No thread is to be had at the moment: the next one tries again.
                self._watching.release()
                raise

    def _watch(self) -> None:
        while True:
            time.sleep(_WATCH_S)
            # Nobody else would do what this thread does.
            with suppress(Exception):
                self.look(now_s=time.monotonic())

    def look(self, *, now_s: float) -> None:
        """Give away the places of those who read for a while, and answer for those who do so for too long."""
        for reading in self._readers.since(now_s - _WATCH_S):
            if _HAS_PLACE in reading.environ and reading.gives_place():
                self._places.give()
            if reading.since_s <= now_s - self._within_s and reading.is_to_be_answered():
                self._refuse(reading)

    def _refuse(self, reading: _Reading) -> None:
        """Answer for a thread that still reads; it may go on for as long as the connection is open."""
        # Without its path, where somebody may have put a key: the line of the request tells it, made harmless.
        log.warning("body_too_slow", tenant_id=reading.tenant_id)
        error = BodyTooSlowError(f"The body did not arrive within {self._within_s:g} s; send the request again.")
        environ = {**reading.environ, "wsgi.input": io.BytesIO(), FAILED_BEFORE: error}
        try:
            chunks, status, headers = run_wsgi_app(self._long_way, environ, buffered=True)
            answered = [*headers.to_wsgi_list(), ("Connection", "close")]
            assert reading.protocol is not None
            reading.protocol.response_bytes(int(status[:3]), answered, b"".join(chunks))
        except Exception as error:
            log.exception("late_body_not_answered", error=type(error).__name__)


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
