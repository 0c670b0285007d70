"""A receiver of webhooks at an address inside that the rig allows; its paths say how it answers."""

import hashlib
import hmac
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from scripts.faulting.ledger import Ledger

# In the network that the rig lets webhooks call.
HOST = "127.77.0.1"
TAKES, FAILS_FIRST, FAILS, SILENT, SLOW, GONE = "/takes", "/fails-first", "/fails", "/silent", "/slow", "/gone"
REDIRECTS, HUGE, DRIPS = "/redirects", "/huge", "/drips"
_FAILS_TIMES = 4
_PIECE, _PIECES = b"x" * 65_536, 1600
_DRIPS_EVERY_S = 0.3
_SLOW_S = 1.5
# Longer than whoever sends waits.
_SILENT_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A request that came in whole, and what it was answered."""

    path: str
    event_id: str
    signature: str
    body: bytes
    status: int

    def is_signed_with(self, secret: str) -> bool:
        """Whether its signature is over its moment and its bytes."""
        moment, *signatures = self.signature.split(",")
        signed = moment.removeprefix("t=").encode() + b"." + self.body
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return f"v1={expected}" in signatures


@dataclass(slots=True)
class Receiver:
    """What was received, in its order."""

    port: int = 0
    # Where it sends those who come to the path that redirects.
    leads_to: str = ""
    events: list[Event] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    _tried: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str) -> str:
        """Where a webhook finds it."""
        return f"http://{HOST}:{self.port}{path}"

    def of(self, path: str) -> list[Event]:
        """What came to a path."""
        with self._lock:
            return [event for event in self.events if event.path == path]

    def received(self, path: str, event_id: str, signature: str, body: bytes) -> int:
        """Note it; the status that it is to be answered."""
        with self._lock:
            self._tried[path] += 1
            status = self._status(path)
            event = Event(path=path, event_id=event_id, signature=signature, body=body, status=status)
            self.events.append(event)
        if path == SILENT:
            self.ended.wait(_SILENT_S)
        elif path == SLOW:
            self.ended.wait(_SLOW_S)
        return status

    def _status(self, path: str) -> int:
        if path in _ANSWERS:
            return _ANSWERS[path]
        fails = path == FAILS or (path == FAILS_FIRST and self._tried[path] <= _FAILS_TIMES)
        return 500 if fails else 200


_ANSWERS = {GONE: 410, REDIRECTS: 302}


def _body_of(receiver: Receiver, path: str) -> Iterator[bytes]:
    """What follows the head: nothing, more than anybody reads, or a byte now and then."""
    if path == HUGE:
        yield from itertools.repeat(_PIECE, _PIECES)
    elif path == DRIPS:
        while not receiver.ended.wait(_DRIPS_EVERY_S):
            yield b"."


def _answer(handler: BaseHTTPRequestHandler, receiver: Receiver, status: int) -> None:
    handler.send_response(status)
    if handler.path == REDIRECTS:
        handler.send_header("Location", receiver.leads_to)
    handler.end_headers()
    for piece in _body_of(receiver, handler.path):
        handler.wfile.write(piece)
        handler.wfile.flush()


@contextmanager
def receiving(ledger: Ledger) -> Iterator[Receiver]:
    """A receiver that listens while the block lasts; the ledger is told of all that it hears."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        """Notes who calls, and answers."""

        def do_POST(self) -> None:
            """An event."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            event_id, signature = self.headers.get("Headroom-Event-Id", ""), self.headers.get("Headroom-Signature", "")
            ledger.heard_event(self.path, event_id, body)
            status = receiver.received(self.path, event_id, signature, body)
            with suppress(OSError):
                _answer(self, receiver, status)

        def log_message(self, *_: object) -> None:
            """Nothing: what is heard is kept."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
