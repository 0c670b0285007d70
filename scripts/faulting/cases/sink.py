"""A port inside that nothing should ever call."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


@contextmanager
def sink() -> Iterator[tuple[int, list[str]]]:
    """The port, and the paths that were called there."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        """Notes who calls, and answers 200."""

        def do_GET(self) -> None:
            """Whoever reads."""
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the library calls it so

        def log_message(self, *_: object) -> None:
            """Nothing: what is heard is kept."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
