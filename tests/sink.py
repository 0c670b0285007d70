"""A sink: a real HTTP server on this machine that keeps what it is sent, and answers as its paths say."""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DRIP_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request that came in whole."""

    path: str
    headers: dict[str, str]
    body: bytes
    answered: int


@dataclass(slots=True)
class Sink:
    """`answers` are the statuses of the paths that are not known: the next one of the list, then 200.

    Whatever has `never` in its body gets 500.
    """

    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    never: bytes | None = None
    connections: int = 0
    port: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/hook", *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    """Answers for the sink of its server."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def setup(self) -> None:
        self.server.sink.connections += 1
        super().setup()

    def do_POST(self) -> None:
        sink = self.server.sink
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = {"/410": 410, "/500": 500, "/redirect": 302, "/trickle": 200, "/huge": 200}.get(self.path)
        if status is None:
            status = sink.answers.pop(0) if sink.answers else 200
        if sink.never is not None and sink.never in body:
            status = 500
        headers = {name.lower(): value for name, value in self.headers.items()}
        sink.received.append(Received(path=self.path, headers=headers, body=body, answered=status))
        with contextlib.suppress(OSError):
            self._answer(sink, status)

    def _answer(self, sink: Sink, status: int) -> None:
        if self.path == "/silent":
            sink.stopped.wait(30)
        elif self.path == "/drip-head":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a")
        elif self.path in {"/trickle", "/huge"}:
            self.send_response(status)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._drip(b"", b"1\r\na\r\n") if self.path == "/trickle" else self._flood()
        else:
            said = f"said {status}\x00\n".encode()
            self.send_response(status)
            if self.path == "/redirect":
                self.send_header("Location", sink.url("/canary"))
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    def _drip(self, first: bytes, drop: bytes) -> None:
        self.wfile.write(first)
        while not self.server.sink.stopped.wait(DRIP_S):
            self.wfile.write(drop)
            self.wfile.flush()

    def _flood(self) -> None:
        part = b"a" * 65536
        while not self.server.sink.stopped.is_set():
            self.wfile.write(b"10000\r\n" + part + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Nothing: a test looks at `received`."""


class _Server(ThreadingHTTPServer):
    sink: Sink
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Whoever hangs up is what tests do."""


@contextmanager
def running_sink(context: ssl.SSLContext | None = None) -> Iterator[Sink]:
    """A sink that listens while the block lasts, over TLS with a context."""
    sink = Sink()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.sink = sink
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


def until(condition, *, within_s: float = 20.0) -> bool:
    """Whether it came true in time."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
