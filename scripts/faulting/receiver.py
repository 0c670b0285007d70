"""A receiver of webhooks at an address inside that the rig allows; its paths say how it answers."""

import hashlib
import hmac
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
_FAILS_TIMES = 4
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
        if path == GONE:
            return 410
        fails = path == FAILS or (path == FAILS_FIRST and self._tried[path] <= _FAILS_TIMES)
        return 500 if fails else 200


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
                self.send_response(status)
                self.end_headers()

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
