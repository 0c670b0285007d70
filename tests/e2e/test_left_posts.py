"""POSTs that leave their thread before they are answered: over real sockets, each gets its own answer."""

import gzip
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import select

from config.environment import settings_from_environment
from scripts import nearby
from scripts.children import free_port
from scripts.processes import web as web_process
from service.access import Role
from service.planning.execute import execute
from service.planning.keys import create_key, create_tenant
from service.store.tables.runs import RunRow
from service.store.tables.workloads import WorkloadRow
from tests.schemas.requests import SMALL_CHAT
from tests.workers.conftest import eventually, own_limits

pytestmark = [pytest.mark.slow, own_limits, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
CALLERS = 24
EACH = 40


@pytest.fixture
def address(web, processes) -> Iterator[str]:
    """One web process that has kept the answer of a question, asked by the tenant of `headers`."""
    port = free_port()
    processes.environment.update({"HEADROOM_PORT": str(port), "HEADROOM_WEB_WORKERS": "1"})
    processes.start("web", *web_process(settings_from_environment(processes.environment)).arguments)
    place = f"http://127.0.0.1:{port}"
    eventually(lambda: nearby.is_well(f"{place}/healthz"), say=lambda: processes.log("web"))
    return place


@pytest.fixture
def caller(web, address) -> Iterator[httpx.Client]:
    """Somebody whose question has been answered."""
    key = create_key(web, create_tenant(web, "acme"), principal="ann", role=Role.REQUESTER).token
    with httpx.Client(
        base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
    ) as client:
        asked = client.post("/v1/workloads", json=SMALL_CHAT).json()
        execute(web, asked["id"])
        assert client.get(f"/v1/runs/{asked['id']}").json()["status"] == "done"
        yield client


def post(caller: httpx.Client, number: int) -> httpx.Response:
    name = f"number {number}"
    return caller.post("/v1/workloads", json={**SMALL_CHAT, "name": name}, headers={"X-Request-Id": f"id-{number}"})


def test_clients_that_take_gzip_read_what_others_read(caller):
    place = post(caller, 1).headers["location"]
    with caller.stream("GET", place, headers={"Accept-Encoding": "identity"}) as plain:
        body = b"".join(plain.iter_raw())
    with caller.stream("GET", place) as packed:
        assert gzip.decompress(b"".join(packed.iter_raw())) == body
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(body) / 4
    # httpx reads it by itself.
    assert caller.get(place).content == body
    again = {"If-None-Match": packed.headers["etag"]}
    assert caller.get(place, headers=again).status_code == 304


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_reads_what_it_asked_to_have_compressed(caller):
    place = f"{str(caller.base_url).rstrip('/')}{post(caller, 1).headers['location']}"
    asks = ["curl", "-sSf", place, "-H", f"Authorization: {caller.headers['authorization']}"]
    plain, packed = (
        subprocess.run([*asks, *more], capture_output=True, check=True).stdout for more in ([], ["--compressed"])
    )
    assert plain == packed
    assert json.loads(plain)["status"] == "done"


def names_of(web) -> dict[str, str]:
    """The name of each run's workload, as they are stored."""
    with web.sessions() as session:
        joined = select(RunRow.id, WorkloadRow.name).join(WorkloadRow, WorkloadRow.id == RunRow.workload_id)
        return dict(session.execute(joined).all())


def test_each_of_many_callers_at_once_gets_the_answer_to_its_own_request(web, caller, processes):
    with ThreadPoolExecutor(CALLERS) as threads:
        answers = list(threads.map(lambda number: post(caller, number), range(CALLERS * EACH)))
    names = names_of(web)
    for number, answer in enumerate(answers):
        assert (answer.status_code, answer.headers["x-request-id"]) == (200, f"id-{number}")
        assert answer.headers["location"] == f"/v1/runs/{answer.json()['id']}"
        assert names[answer.json()["id"]] == f"number {number}"
    told = [json.loads(line) for line in processes.log("web").splitlines() if '"event":"request"' in line]
    short = [
        line["request_id"] for line in told if line["logger"] == "service.edge.express" and line["method"] == "POST"
    ]
    # Nearly all go the short way: the very first ones find a key that has not been checked yet.
    assert len(short) > len(answers) - CALLERS
    assert len(short) == len(set(short))


def test_a_server_that_is_stopped_answers_what_it_has_taken(web, caller, processes):
    def until_it_is_gone(number: int) -> list[tuple[int, str]]:
        taken = []
        for step in range(1000):
            try:
                answer = post(caller, number * 1000 + step)
            except httpx.HTTPError:
                break
            taken.append((answer.status_code, answer.json()["id"]))
        return taken

    with ThreadPoolExecutor(8) as threads:
        under_way = [threads.submit(until_it_is_gone, number) for number in range(8)]
        eventually(lambda: len(names_of(web)) > 50)
        processes.started[0].send_signal(signal.SIGTERM)
        taken = [one for future in under_way for one in future.result(60)]
    assert {status for status, _ in taken} == {200}
    assert {run_id for _, run_id in taken} <= set(names_of(web))
