"""Bodies on their way: read by few threads at once, and answered for by another thread where they take too long."""

import io
import threading
import time
from contextlib import suppress
from typing import Any, cast

import structlog
from flask import Flask
from werkzeug.wsgi import get_content_length

from service.edge.answering import Environ, Wsgi, answer_with, answering_of
from service.edge.context import runtime_of
from service.edge.places import place_of
from service.edge.readers import Readers, Reading
from service.edge.requests import FAILED_BEFORE
from service.edge.senders import sender_of
from service.errors import BodyTooSlowError

log = structlog.get_logger(__name__)

# Who reads for longer than this gives its place away: most bodies are there at once, and then that would cost more.
_WATCH_S = 0.25
# What is posted there may be long, so nobody reads it as a whole.
UPLOADS = frozenset({"/v1/batches", "/batches"})


class AlreadyAnsweredError(BaseException):
    """The thread that read has nothing more to say; nothing but the gate may catch this."""


def is_upload(environ: Environ) -> bool:
    """Whether a request has a body that is read piece by piece."""
    return environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] in UPLOADS


class Bodies:
    """Reads bodies, and watches who does."""

    def __init__(self, app: Flask, long_way: Wsgi, *, readers: int) -> None:
        self._app = app
        self._long_way = long_way
        settings = runtime_of(app).settings
        self._within_s, self._upload_within_s = settings.body_timeout_s, settings.batch_timeout_s
        self._most_bytes = int(app.config["MAX_CONTENT_LENGTH"])
        self._readers = Readers(most=readers, most_tenant=readers // 4)
        self._watching = threading.Lock()

    def on_its_way(self, environ: Environ) -> "_Body | _Upload":
        """The body of a request, not read yet."""
        return _Upload(self, environ) if is_upload(environ) else _Body(self, environ)

    def read(self, environ: Environ, stream: Any) -> bytes:
        """The whole body; one that is too long is cut off after one byte more than it may have."""
        length_bytes = get_content_length(environ)
        most_bytes = self._most_bytes + 1 if length_bytes is None else min(length_bytes, self._most_bytes + 1)
        reading = self.begin(environ, within_s=self._within_s)
        try:
            return cast("bytes", stream.read(most_bytes))
        finally:
            self.end(reading)

    def begin_upload(self, environ: Environ) -> Reading:
        """The same for an upload, which is read piece by piece."""
        return self.begin(environ, within_s=self._upload_within_s)

    def begin(self, environ: Environ, *, within_s: float) -> Reading:
        """From now on the caller reads, for so long at most."""
        # Nobody reads whose sender was not found, and one that was found is remembered.
        sender = sender_of(self._app, environ)
        self._have_watched()
        return self._readers.begin(environ, answering_of(environ), sender, within_s=within_s)

    def end(self, reading: Reading) -> None:
        """It reads no more; AlreadyAnsweredError where it was answered for."""
        self._readers.end(reading)
        place = place_of(reading.environ)
        if reading.place_given and place is not None:
            place.take_again()
        if reading.answered:
            raise AlreadyAnsweredError

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
            place = place_of(reading.environ)
            if place is not None and reading.gives_place():
                place.give()
            if reading.since_s <= now_s - reading.within_s and reading.is_to_be_answered():
                self._refuse(reading)

    def _refuse(self, reading: Reading) -> None:
        """Answer for a thread that still reads; it may go on for as long as the connection is open."""
        # Without its path, where somebody may have put a key: the line of the request tells it, made harmless.
        log.warning("body_too_slow", tenant_id=reading.tenant_id)
        error = BodyTooSlowError(f"The body did not arrive within {reading.within_s:g} s; send the request again.")
        environ = {**reading.environ, "wsgi.input": io.BytesIO(), FAILED_BEFORE: error}
        try:
            assert reading.answering is not None
            answer_with(self._long_way, environ, reading.answering, ("Connection", "close"))
        except Exception as error:
            log.exception("late_body_not_answered", error=type(error).__name__)


class _Body:
    """A body that is read when somebody asks for it, as a whole, while the place is somebody else's."""

    def __init__(self, bodies: "Bodies", environ: Environ) -> None:
        self._bodies = bodies
        self._environ = environ
        self._stream = environ["wsgi.input"]
        self._read: io.BytesIO | None = None

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all. Raises RateLimitedError and UnavailableError where too many bodies are read."""
        if self._read is None:
            self._read = io.BytesIO(self._bodies.read(self._environ, self._stream))
        return self._read.read(size)

    def close(self) -> None:
        """There is nothing to end: it was read as a whole, or not at all."""


class _Upload:
    """A body that is read in pieces, from the first to the last of which the place is somebody else's."""

    def __init__(self, bodies: "Bodies", environ: Environ) -> None:
        self._bodies = bodies
        self._environ = environ
        self._stream = environ["wsgi.input"]
        self._left = get_content_length(environ)
        self._reading: Reading | None = None
        self._over = False

    def read(self, size: int = -1) -> bytes:
        """So many bytes; nothing at the end. Raises as the other kind of body does."""
        if self._over or size == 0:
            return b""
        if self._reading is None:
            self._reading = self._bodies.begin_upload(self._environ)
        piece = b""
        try:
            piece = cast("bytes", self._stream.read(size))
        finally:
            if self._left is not None:
                self._left -= len(piece)
            if not piece or self._left == 0:
                self.close()
        return piece

    def close(self) -> None:
        """Nobody reads it any more."""
        self._over = True
        reading, self._reading = self._reading, None
        if reading is not None:
            self._bodies.end(reading)
