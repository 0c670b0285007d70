"""A flood: so many requests a second of one tenant, sent by a process of its own that costs little of the cores.

They leave at their moment, on another connection where the ones before them have not been answered: a client that
waits for a busy server would be no flood. Reads and posts take turns; every post asks something new.
"""

import json
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

# Few are needed while the server keeps up, and its own limit is far beyond these.
_MOST_CONNECTIONS = 300
_TICK_S = 0.002
_ANSWERED_WITHIN_S = 10.0
_READ_BYTES = 262_144
_LENGTHS = 4000
_READ, _POST = "GET", "POST"
# What every refusal has to tell.
_FIELDS = (b"retry-after", b"ratelimit-limit", b"ratelimit-remaining", b"ratelimit-reset", b"x-request-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What is sent: by whom, to which ports, how much in a second, and how many posts at least."""

    ports: tuple[int, ...]
    token: str
    name: str
    requests_s: int
    posts: int


@dataclass(slots=True, kw_only=True)
class Told:
    """What came back. `statuses` by method and status; `bare` refusals lack a field that they must have; `run_ids` are
    those of the runs that were taken.
    """

    sent: int = 0
    posted: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    broken: int = 0
    bare: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    samples: dict[str, str] = field(default_factory=dict)
    run_ids: list[str] = field(default_factory=list)


def requests_of(flood: Flood) -> Iterator[tuple[str, bytes]]:
    """Method and bytes of one request after the other, for ever."""
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {flood.token}\r\n"
    number = 0
    while True:
        yield _READ, f"GET /v1/runs?limit=1 HTTP/1.1\r\n{head}\r\n".encode()
        body = json.dumps({"name": flood.name, "workload": question(number)})
        typed = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        yield _POST, f"POST /v1/workloads HTTP/1.1\r\n{typed}{body}".encode()
        number += 1


def question(number: int) -> dict[str, Any]:
    """A small question of serving that nobody else asks."""
    more, length = divmod(number, _LENGTHS)
    return {
        "kind": "inference",
        "model": "llama-3.1-8b",
        "isl_tokens": 500 + length,
        "osl_tokens": 300 + more,
        "demand": {"concurrency": 16},
    }


def answers_in(heard: bytes) -> tuple[list[bytes], bytes]:
    """The whole answers at the beginning of what was heard, and the rest."""
    found: list[bytes] = []
    while True:
        end = heard.find(b"\r\n\r\n")
        if end < 0:
            return found, heard
        head = heard[:end].lower()
        at = head.find(b"content-length:")
        length = 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])
        whole = end + 4 + length
        if len(heard) < whole:
            return found, heard
        found.append(heard[:whole])
        heard = heard[whole:]


class _Lines:
    """Connections with one request each on its way; more of them are opened while all wait for their answers."""

    def __init__(self, flood: Flood, told: Told) -> None:
        self._flood, self._told = flood, told
        self._selector = selectors.DefaultSelector()
        self._free: list[socket.socket] = []
        self._awaited: dict[socket.socket, tuple[str, bytes]] = {}
        self._opened = 0

    @property
    def waiting(self) -> int:
        """How many requests are not answered yet."""
        return len(self._awaited)

    def send(self, method: str, request: bytes) -> bool:
        """Send it now; False where no connection is to be had."""
        line = self._free.pop() if self._free else self._open()
        if line is None:
            return False
        self._awaited[line] = (method, b"")
        try:
            line.sendall(request)
        except OSError:
            self._lose(line)
        return True

    def _open(self) -> socket.socket | None:
        if len(self._awaited) >= _MOST_CONNECTIONS:
            return None
        port = self._flood.ports[self._opened % len(self._flood.ports)]
        self._opened += 1
        line = socket.create_connection(("127.0.0.1", port), timeout=_ANSWERED_WITHIN_S)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(line, selectors.EVENT_READ)
        return line

    def hear(self, within_s: float) -> None:
        """Take what has come by then."""
        for key, _ in self._selector.select(within_s):
            line = key.fileobj
            assert isinstance(line, socket.socket)
            try:
                piece = line.recv(_READ_BYTES)
            except OSError:
                piece = b""
            if piece and line in self._awaited:
                method, before = self._awaited[line]
                self._take(line, method, before + piece)
            else:
                self._lose(line)

    def _take(self, line: socket.socket, method: str, heard: bytes) -> None:
        answers, rest = answers_in(heard)
        self._awaited[line] = (method, rest)
        for answer in answers:
            del self._awaited[line]
            self._free.append(line)
            self._note(method, answer)

    def _lose(self, line: socket.socket) -> None:
        self._selector.unregister(line)
        line.close()
        if line in self._awaited:
            del self._awaited[line]
            self._told.broken += 1
        else:
            self._free.remove(line)

    def close(self) -> None:
        """Hang up."""
        for line in (*self._free, *self._awaited):
            line.close()
        self._selector.close()

    def _note(self, method: str, answer: bytes) -> None:
        status = answer[9:12].decode()
        kind = f"{method} {status}"
        self._told.statuses[kind] = self._told.statuses.get(kind, 0) + 1
        self._told.samples.setdefault(kind, answer.decode("latin-1"))
        if method == _POST and status.startswith("2"):
            self._told.run_ids.append(str(json.loads(answer.partition(b"\r\n\r\n")[2])["id"]))
        if status == "429":
            head = answer[: answer.find(b"\r\n\r\n")].lower()
            self._told.bare += any(name not in head for name in _FIELDS)


def flooded(flood: Flood, stop: threading.Event) -> Told:
    """Send until stopped, and until that many posts have left; then wait for the last answers."""
    told = Told()
    lines, requests = _Lines(flood, told), requests_of(flood)
    began_s = time.monotonic()
    method, request = next(requests)
    while not stop.is_set() or told.posted < flood.posts:
        due = int((time.monotonic() - began_s) * flood.requests_s)
        while told.sent < due and lines.send(method, request):
            told.sent += 1
            told.posted += method == _POST
            method, request = next(requests)
        lines.hear(_TICK_S)
    told.seconds = time.monotonic() - began_s
    until_s = time.monotonic() + _ANSWERED_WITHIN_S
    while lines.waiting and time.monotonic() < until_s:
        lines.hear(_TICK_S)
    told.broken += lines.waiting
    lines.close()
    told.cpu_s = time.process_time()
    return told


def _listen(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main() -> None:
    """A flood as a line of JSON comes in, what it came to goes out; the end of what comes in ends it."""
    asked = json.loads(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_listen, args=(stop,), daemon=True).start()
    told = flooded(Flood(**{**asked, "ports": tuple(asked["ports"])}), stop)
    print(json.dumps(asdict(told)), flush=True)


if __name__ == "__main__":
    main()
