"""Whoever asks for much at once waits for it, and nobody else does: over real sockets."""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from config.environment import settings_from_environment
from scripts.children import free_port
from scripts.processes import served
from service.access import Role
from service.edge.gate import MOST_WAITING
from service.edge.places import most_each
from service.planning.keys import create_key, create_tenant
from service.settings import THREADS_PER_PLACE
from tests.schemas.requests import SMALL_CHAT
from tests.workers.conftest import eventually, own_limits

pytestmark = [pytest.mark.slow, own_limits, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
PLACES = 4
THREADS = PLACES * THREADS_PER_PLACE
# Of one tenant, while nobody else asks.
ALONE = PLACES - most_each(PLACES)
# As Linux writes it.
_ESTABLISHED = "01"
# It waits while the gate is closed.
HELD = "/v1/runs?status=failed"


class Server:
    """One web process with few places, a gate, and two tenants."""

    def __init__(self, web, processes, gate: Path) -> None:
        self.gate = gate
        self.processes = processes
        self.port = free_port()
        changes = {
            "HEADROOM_PORT": str(self.port),
            "HEADROOM_WEB_WORKERS": "1",
            "HEADROOM_WEB_THREADS": str(PLACES),
            # What is left of one window is told apart for each call, however long all of them take.
            "HEADROOM_RATE_WINDOW_S": "3600",
        }
        processes.environment.update(changes)
        settings = settings_from_environment(processes.environment)
        process = served(settings, name="web", factory="tests.e2e.held_app:create_app", threads=THREADS)
        self.process = processes.start("web", *process.arguments)
        keys = {
            name: create_key(web, create_tenant(web, name), principal=name, role=Role.REQUESTER).token
            for name in ("flood", "calm")
        }
        limits = httpx.Limits(max_connections=None)
        self.flood, self.calm = (
            httpx.Client(
                base_url=f"http://127.0.0.1:{self.port}",
                headers={"Authorization": f"Bearer {keys[name]}"},
                timeout=60,
                limits=limits,
                trust_env=False,
            )
            for name in ("flood", "calm")
        )
        eventually(self._up, say=lambda: processes.log("web"))

    def _up(self) -> bool:
        try:
            return self.calm.get("/healthz").is_success
        except httpx.HTTPError:
            return False

    def entered(self) -> int:
        return len(list(self.gate.glob("entered *")))

    def arrived(self) -> int:
        """Connections of which the server has read what there is: one that is stopped drops the others."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
        port, nothing = f":{self.port:04X}", ":00000000"
        return sum(row[1].endswith(port) and row[3] == _ESTABLISHED and row[4].endswith(nothing) for row in rows)

    @contextmanager
    def closed(self, calls: int) -> Iterator[list[Future[httpx.Response]]]:
        """So many calls of one tenant that are not answered before the block is over."""
        # From now on its key is known.
        assert self.flood.get("/v1/runs").status_code == 200
        (self.gate / "gate").touch()
        with ThreadPoolExecutor(calls) as threads:
            try:
                sent = [
                    threads.submit(self.flood.get, HELD, headers={"X-Request-Id": f"id-{number}"})
                    for number in range(calls)
                ]
                # The connection of one that was refused is another one's then.
                eventually(lambda: self.entered() and self.arrived() + sum(one.done() for one in sent) >= calls)
                yield sent
            finally:
                (self.gate / "gate").unlink(missing_ok=True)

    def lines(self) -> list[dict[str, object]]:
        """What the log tells of the calls that waited."""
        told = [json.loads(line) for line in self.processes.log("web").splitlines() if '"event":"request"' in line]
        return [line for line in told if str(line["request_id"]).startswith("id-")]


@pytest.fixture
def server(web, processes, gate) -> Iterator[Server]:
    started = Server(web, processes, gate)
    yield started
    started.flood.close()
    started.calm.close()


def test_others_are_answered_while_one_has_more_calls_waiting_than_there_are_threads(server):
    calls = 2 * THREADS
    with server.closed(calls) as sent:
        for _ in range(5):
            assert server.calm.get("/v1/runs").status_code == 200
            assert server.calm.post("/v1/workloads", json=SMALL_CHAT).status_code == 202
        assert httpx.get(f"{server.calm.base_url}/readyz", trust_env=False).status_code in {200, 503}
        assert httpx.get(f"{server.calm.base_url}/metrics", trust_env=False).status_code == 200
        assert 1 <= server.entered() <= ALONE
        assert not any(call.done() for call in sent)
    answers = [call.result() for call in sent]
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.headers["x-request-id"] for answer in answers] == [f"id-{number}" for number in range(calls)]
    remaining = sorted(int(answer.headers["ratelimit-remaining"]) for answer in answers)
    assert len(set(remaining)) == calls
    # One line for each, and each was worked on once.
    assert sorted(str(line["request_id"]) for line in server.lines()) == sorted(f"id-{n}" for n in range(calls))
    assert server.entered() == calls


def test_a_key_that_was_not_checked_for_a_while_takes_the_turns_of_its_tenant(server):
    """Or else those of all tenants would wait behind each other."""
    assert server.calm.get("/v1/runs").status_code == 200
    forgotten_s = 2 * settings_from_environment(server.processes.environment).key_memory_s
    with server.closed(THREADS) as sent, ThreadPoolExecutor(THREADS) as threads:
        time.sleep(forgotten_s)
        more = [threads.submit(server.flood.get, HELD) for _ in range(THREADS)]
        time.sleep(forgotten_s)
        assert server.calm.get("/v1/runs").status_code == 200
        assert 1 <= server.entered() <= ALONE
        (server.gate / "gate").unlink()
    assert {call.result().status_code for call in (*sent, *more)} == {200}


def test_the_next_ones_are_refused_and_told_when_to_come_again(server):
    # How many are worked on depends on who else has just asked.
    calls = ALONE + MOST_WAITING + 10
    with server.closed(calls) as sent:
        refused = eventually(lambda: len(done := [call for call in sent if call.done()]) >= 10 and done)
        for answer in (call.result() for call in refused):
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
            assert answer.json()["type"] == "/problems/rate-limited"
            assert "ratelimit-remaining" in answer.headers
        assert server.calm.get("/v1/runs").status_code == 200
    statuses = [call.result().status_code for call in sent]
    assert set(statuses) == {200, 429}
    assert MOST_WAITING < statuses.count(200) <= MOST_WAITING + ALONE
    assert len(server.lines()) == calls


def test_uploads_that_wait_do_not_hold_every_thread(server):
    """They cannot leave theirs, for they are read piece by piece."""
    line = json.dumps(SMALL_CHAT) + "\n"
    with server.closed(PLACES) as sent, ThreadPoolExecutor(2 * THREADS) as threads:
        uploads = [
            threads.submit(
                server.flood.post, "/v1/batches", content=line, headers={"Content-Type": "application/x-ndjson"}
            )
            for _ in range(2 * THREADS)
        ]
        assert server.calm.get("/v1/runs").status_code == 200
        refused = eventually(lambda: len(done := [call for call in uploads if call.done()]) >= THREADS and done)
        assert {call.result().status_code for call in refused} == {429}
        assert {call.result().headers["retry-after"] for call in refused} == {"5"}
        # Their bodies are not read, so nothing else is to be sent behind them.
        assert {call.result().headers.get("connection") for call in refused} == {"close"}
        (server.gate / "gate").unlink()
    assert {call.result().status_code for call in sent} == {200}
    assert {call.result().status_code for call in uploads} == {202, 429}


def test_a_server_that_is_stopped_answers_those_that_wait(server):
    with server.closed(THREADS) as sent:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "Stopping worker" in server.processes.log("web") or server.process.poll() is not None)
        assert server.process.poll() is None
    assert {call.result().status_code for call in sent} == {200}
    assert server.process.wait(30) == 0


def test_bodies_are_read_before_a_thread_is_left(server):
    """Those too that are out of the ordinary, which the short way does not read."""
    with server.closed(THREADS), ThreadPoolExecutor(THREADS) as threads:
        posts = [
            threads.submit(
                server.flood.post,
                "/v1/workloads",
                json={**SMALL_CHAT, "name": f"number {number}"},
                headers={"Idempotency-Key": f"once-{number}"},
            )
            for number in range(THREADS)
        ]
        assert server.calm.get("/v1/runs").status_code == 200
        time.sleep(0.2)
        assert not any(post.done() for post in posts)
        (server.gate / "gate").unlink()
    assert {post.result().status_code for post in posts} == {202}
    listed = server.flood.get(f"/v1/workloads?limit={2 * THREADS}").json()["items"]
    assert sorted(one["name"] for one in listed) == sorted(f"number {number}" for number in range(THREADS))


def test_answers_are_the_same_whether_they_were_waited_for_or_not(server):
    """Whole ones, those of which only the head is sent, and those that come as they are read."""
    lines = "".join(json.dumps({**SMALL_CHAT, "name": f"number {number}"}) + "\n" for number in range(3))
    batch = server.flood.post("/v1/batches", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert batch.status_code == 202
    place = batch.headers["location"]
    calls = [("GET", "/v1/catalog/models"), ("HEAD", "/v1/catalog/models"), ("GET", f"{place}/results")]
    at_once = [server.flood.request(method, path) for method, path in calls]
    assert at_once[2].text.count("\n") == 3
    with server.closed(THREADS), ThreadPoolExecutor(len(calls)) as threads:
        late = [threads.submit(server.flood.request, method, path) for method, path in calls]
        assert server.calm.get("/v1/runs").status_code == 200
        assert not any(call.done() for call in late)
        (server.gate / "gate").unlink()
    for first, second in zip(at_once, (call.result() for call in late), strict=True):
        assert (second.status_code, second.content) == (first.status_code, first.content)
        assert second.headers.get("content-length") == first.headers.get("content-length")
        assert second.headers["content-type"] == first.headers["content-type"]


def test_whoever_waits_for_a_run_keeps_no_place(server):
    most = max(1, PLACES // 2)
    with ThreadPoolExecutor(most) as threads:
        waiting = [
            threads.submit(server.calm.post, "/v1/workloads", json=SMALL_CHAT, headers={"Prefer": "wait=4"})
            for _ in range(most)
        ]
        eventually(lambda: len(server.calm.get("/v1/runs").json()["items"]) == most)
        assert server.calm.get("/v1/runs").status_code == 200
        assert not any(call.done() for call in waiting)
    assert [call.result().headers["preference-applied"] for call in waiting] == ["wait=4"] * most
