"""Whoever sends a body slowly, or stops half way, gets 408 and holds up nobody else: over real sockets."""

import json
import select
import socket
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

from config.environment import settings_from_environment
from scripts.children import free_port
from scripts.processes import web as web_process
from service.access import Role
from service.planning.keys import create_key, create_tenant
from service.planning.view import RunStatus
from service.settings import THREADS_PER_PLACE
from tests.schemas.requests import SMALL_CHAT
from tests.workers.conftest import eventually, own_limits

pytestmark = [pytest.mark.slow, own_limits, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
BODY = json.dumps(SMALL_CHAT).encode()
PLACES = 3
# Three quarters of the threads may read, a quarter of those for one tenant.
SEATS = PLACES * THREADS_PER_PLACE * 3 // 16
TIMEOUT_S = 3


class Server:
    """One web process with few places and little patience."""

    def __init__(self, web, processes) -> None:
        self.port = free_port()
        changes = {
            "HEADROOM_PORT": str(self.port),
            "HEADROOM_WEB_WORKERS": "1",
            "HEADROOM_WEB_THREADS": str(PLACES),
            "HEADROOM_BODY_TIMEOUT_S": str(TIMEOUT_S),
            "HEADROOM_BATCH_TIMEOUT_S": str(2 * TIMEOUT_S),
        }
        processes.environment.update(changes)
        processes.start("web", *web_process(settings_from_environment(processes.environment)).arguments)
        self.keys = {}
        for name in ("slow", "quick"):
            tenant = create_tenant(web, name)
            self.keys[name] = create_key(web, tenant, principal=name, role=Role.REQUESTER).token
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=5, trust_env=False)
        eventually(self._up, say=lambda: processes.log("web"))

    def _up(self) -> bool:
        try:
            return self.client.get("/healthz").is_success
        except httpx.HTTPError:
            return False

    def post(self, who: str) -> httpx.Response:
        return self.client.post("/v1/workloads", json=SMALL_CHAT, headers={"Authorization": f"Bearer {self.keys[who]}"})

    @staticmethod
    def media_type(path: str) -> str:
        return "application/x-ndjson" if path == "/v1/batches" else "application/json"

    def begin(
        self,
        who: str,
        *,
        framing: str = f"Content-Length: {len(BODY)}",
        sent: bytes = BODY[:10],
        path: str = "/v1/workloads",
    ):
        """A connection whose body has begun and does not go on."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.keys[who]}\r\n"
            f"Content-Type: {self.media_type(path)}\r\n{framing}\r\n\r\n"
        )
        connection.sendall(head.encode() + sent)
        return connection


@pytest.fixture
def server(web, processes):
    started = Server(web, processes)
    yield started
    started.client.close()


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, object]]:
    """Status, headers and body of what comes."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return int(first.split()[1]), headers, json.loads(body)


CHUNKED = "Transfer-Encoding: chunked"


def trickled(connection: socket.socket, stop: threading.Event) -> None:
    """Nearly the whole body, byte by byte."""
    for byte in BODY[:-1]:
        if stop.wait(0.05):
            return
        connection.sendall(bytes([byte]))


def test_bodies_that_do_not_come_in_time_are_answered_408_and_make_nothing(server):
    stop = threading.Event()
    with ExitStack() as open_:
        stopped = open_.enter_context(server.begin("slow"))
        chunked = open_.enter_context(server.begin("slow", framing=CHUNKED, sent=b'5\r\n{"nam\r\n'))
        nothing = open_.enter_context(server.begin("slow", sent=b""))
        trickling = open_.enter_context(server.begin("slow", sent=b""))
        in_parts = open_.enter_context(server.begin("quick"))
        sender = threading.Thread(target=trickled, args=(trickling, stop), daemon=True)
        sender.start()
        time.sleep(0.5)
        in_parts.sendall(BODY[10:])
        status, _, run = answer_of(in_parts)
        assert (status, run["status"]) == (202, RunStatus.QUEUED)
        for connection in (stopped, chunked, nothing, trickling):
            status, headers, problem = answer_of(connection)
            assert (status, problem["type"], headers["connection"]) == (408, "/problems/request-timeout", "close")
            assert (problem["status"], problem["request_id"]) == (408, headers["x-request-id"])
            assert f"{TIMEOUT_S} s" in problem["detail"]
            assert "x-content-type-options" in headers
        stop.set()
        sender.join()
        # Too late: it was answered.
        trickling.sendall(BODY[-1:])
        stopped.sendall(BODY[10:])
    listed = server.client.get("/v1/workloads", headers={"Authorization": f"Bearer {server.keys['slow']}"})
    assert listed.json()["items"] == []
    server.keys["slow"] = "hr_nobody_0000"
    with server.begin("slow") as connection:
        # Nobody waits for the body of somebody without a key.
        assert answer_of(connection)[0] == 401


def test_many_that_stop_hold_up_nobody_else(server):
    with ExitStack() as open_:
        begun = [open_.enter_context(server.begin("slow")) for _ in range(SEATS + 4)]
        refused = eventually(lambda: len(found := select.select(begun, [], [], 0)[0]) == 4 and found)
        for connection in refused:
            status, headers, problem = answer_of(connection)
            assert (status, headers["retry-after"], problem["type"]) == (429, "1", "/problems/rate-limited")
        # Others read and write, and the same tenant reads.
        assert server.client.get("/healthz").status_code == 200
        assert server.post("quick").status_code == 202
        assert server.client.get("/v1/runs", headers={"Authorization": f"Bearer {server.keys['slow']}"}).is_success
        assert server.post("slow").status_code == 429
        stuck = [connection for connection in begun if connection not in refused]
        assert [answer_of(connection)[0] for connection in stuck] == [408] * SEATS
    eventually(lambda: server.post("slow").status_code == 202)


def test_an_upload_has_more_time_and_holds_up_nobody(server):
    """It comes in pieces; what stops half way is 408 and leaves no batch, whatever was read of it."""
    line = BODY + b"\n"
    long = f"Content-Length: {1000 * len(line)}"
    with ExitStack() as open_:
        stopped = open_.enter_context(server.begin("slow", path="/v1/batches", framing=long, sent=line * 500))
        in_parts = open_.enter_context(server.begin("quick", path="/v1/batches", framing=long, sent=line * 300))
        chunked = open_.enter_context(server.begin("quick", path="/v1/batches", framing=CHUNKED, sent=b""))
        piece = line * 100
        chunked.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        time.sleep(TIMEOUT_S + 1)
        assert server.post("quick").status_code == 202
        in_parts.sendall(line * 700)
        chunked.sendall(b"0\r\n\r\n")
        assert [(status, batch["items"]) for status, _, batch in map(answer_of, (in_parts, chunked))] == [
            (202, 1000),
            (202, 100),
        ]
        status, _, problem = answer_of(stopped)
        assert (status, problem["type"]) == (408, "/problems/request-timeout")
    listed = server.client.get("/v1/batches", headers={"Authorization": f"Bearer {server.keys['slow']}"})
    assert listed.json()["items"] == []
