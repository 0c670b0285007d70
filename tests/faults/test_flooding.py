"""The flood leaves at its pace, on more connections where answers are late, and tells what came back."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.faulting.flooding import Flood, Told, answers_in, flooded

FULL = {"Retry-After": "1", "RateLimit-Limit": "1", "RateLimit-Remaining": "0", "RateLimit-Reset": "1"}


@contextmanager
def refusing(headers: dict[str, str], *, after_s: float = 0.0, taking: bytes = b"") -> Iterator[int]:
    """A server that answers 429 with these fields, or to a post 202 with what it takes; its port."""

    class Refuses(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            time.sleep(after_s)
            body = taking if self.command == "POST" else b""
            self.send_response(202 if body else 429)
            for name, value in {**headers, "X-Request-Id": "1", "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the library calls them so

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def told_by(port: int, *, requests_s: int, posts: int) -> Told:
    stop = threading.Event()
    stop.set()
    return flooded(Flood(ports=(port,), token="t", name="n", requests_s=requests_s, posts=posts), stop)


@pytest.mark.parametrize(("headers", "bare"), [(FULL, False), ({}, True)], ids=["full", "bare"])
def test_every_answer_is_counted_and_looked_at(headers, bare):
    with refusing(headers) as port:
        told = told_by(port, requests_s=200, posts=20)
    # Where it was held up, all that is due by then leaves at once.
    assert told.posted >= 20
    assert sum(told.statuses.values()) == told.sent
    assert set(told.statuses) == {"GET 429", "POST 429"}
    assert (told.bare, told.broken) == (told.sent if bare else 0, 0)
    assert told.samples["GET 429"].startswith("HTTP/1.1 429 ")


def test_every_run_that_was_taken_is_told():
    with refusing(FULL, taking=b'{"id": "run_1"}') as port:
        told = told_by(port, requests_s=200, posts=5)
    assert told.run_ids == ["run_1"] * told.statuses["POST 202"]
    assert told.statuses["POST 202"] >= 5


def test_late_answers_do_not_slow_it_down():
    with refusing(FULL, after_s=0.2) as port:
        told = told_by(port, requests_s=100, posts=50)
    # One connection alone would have taken 20 s.
    assert told.seconds < 10
    assert sum(told.statuses.values()) == told.sent


def test_answers_that_come_in_pieces_are_put_together():
    one = b"HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\nab"
    assert answers_in(one[:-1]) == ([], one[:-1])
    assert answers_in(one + one[:5]) == ([one], one[:5])
