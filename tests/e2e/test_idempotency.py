"""One key over several web processes: at once, and after the one that was to answer was killed."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import func, select

from scripts import nearby
from scripts.children import free_port
from service.access import Role
from service.client.headroom import Headroom
from service.client.patience import Patience
from service.planning.keys import create_key, create_tenant
from service.store.tables.idempotency import IdempotencyRow
from service.store.tables.runs import ResultRow, RunRow
from service.store.tables.workloads import WorkloadRow
from tests.schemas.requests import SMALL_CHAT, changed
from tests.workers.conftest import eventually, on_sqlite, own_limits

pytestmark = [pytest.mark.slow, own_limits]
PRODUCT, DYING = "service.app:create_app", "tests.e2e.dying_app:create_app"


@dataclass
class Webs:
    """Web processes on the same database, and a key that they all know."""

    token: str
    start: Callable[..., list[str]]
    client: httpx.Client
    addresses: list[str] = field(default_factory=list)

    def post(self, number: int, body=SMALL_CHAT, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Authorization"] = f"Bearer {self.token}"
        address = self.addresses[number % len(self.addresses)]
        return self.client.post(f"{address}/v1/workloads", json=body, headers=named)

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.get(f"{self.addresses[-1]}{path}", headers=headers)

    def wait_until_done(self, path: str) -> None:
        """Fails with the run itself, which says why it is not done."""
        eventually(lambda: self.get(path).json()["status"] == "done", say=lambda: self.get(path).text)


@pytest.fixture
def webs(web, processes) -> Iterator[Webs]:
    tenant = create_tenant(web, "acme")
    token = create_key(web, tenant, principal="ann", role=Role.REQUESTER).token

    def begin(factory: str) -> str:
        port = free_port()
        options = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--blocking-threads", "8", "--no-ws")
        processes.start(f"web-{port}", "-m", "granian", "--interface", "wsgi", "--factory", factory, *options)
        return f"http://127.0.0.1:{port}"

    def start(*factories: str) -> list[str]:
        started = [begin(factory) for factory in factories]
        for address in started:
            eventually(
                lambda address=address: nearby.is_well(f"{address}/healthz"),
                say=lambda at=address: processes.log(f"web-{at[17:]}"),
            )
        found.addresses += started
        return started

    # One client for all: fifty of their own would take the CPU that the product needs.
    with httpx.Client(timeout=40, trust_env=False, limits=httpx.Limits(max_connections=64)) as client:
        found = Webs(token=token, start=start, client=client)
        yield found


def rows(web) -> dict[str, int]:
    tables = (WorkloadRow, RunRow, ResultRow, IdempotencyRow)
    with web.sessions() as session:
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) for table in tables}


def until_answered(webs: Webs, number: int, body, **headers: str) -> list[httpx.Response]:
    """Every answer to one caller who sends the same again for as long as that is what the answer asks for."""
    answers = [webs.post(number, body, **headers)]
    while answers[-1].status_code == httpx.codes.CONFLICT:
        assert answers[-1].json()["type"] == "/problems/idempotency-in-progress"
        assert answers[-1].headers["Retry-After"] == "1"
        threading.Event().wait(int(answers[-1].headers["Retry-After"]))
        answers.append(webs.post(number, body, **headers))
    return answers


def at_once(many: int, webs: Webs, body, **headers: str) -> list[list[httpx.Response]]:
    barrier, outcomes = threading.Barrier(many), []

    def ask(number: int) -> None:
        barrier.wait()
        outcomes.append(until_answered(webs, number, body, **headers))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_fifty_at_once_over_two_processes_make_one_run(web, webs, processes):
    webs.start(PRODUCT, PRODUCT)
    threading.Timer(1.0, processes.worker, args=["workers.app"]).start()
    for made, wait in enumerate(({"Prefer": "wait=20"}, {}), 1):
        body = changed(SMALL_CHAT, "workload.isl_tokens", 100 * made)
        ends = fifty_make_one(webs, body, f"once-{made}", wait)
        webs.wait_until_done(ends[0].headers["Location"])
        assert rows(web) == {"workloads": made, "runs": made, "results": made, "idempotency_keys": made}
        again = webs.post(1, body, Idempotency_Key=f"once-{made}")
        assert (again.status_code, again.content) == (ends[0].status_code, ends[0].content)
        other = webs.post(0, changed(body, "name", "other"), Idempotency_Key=f"once-{made}")
        assert other.status_code == 422


def fifty_make_one(webs: Webs, body, key: str, wait: dict[str, str]) -> list[httpx.Response]:
    """Fifty callers with one key, who wait or not, get one answer."""
    outcomes = at_once(50, webs, body, Idempotency_Key=key, **wait)
    ends = [answers[-1] for answers in outcomes]
    assert len(ends) == 50
    assert {answer.status_code for answer in ends} == {200 if wait else 202}
    assert len({answer.content for answer in ends}) == 1
    assert len({(answer.headers["Location"], answer.headers.get("Preference-Applied")) for answer in ends}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in ends) == 1
    assert any(len(answers) > 1 for answers in outcomes) == bool(wait)
    return ends


def killed(webs: Webs, gate, **headers: str) -> None:
    (gate / "fatal").touch()
    with pytest.raises(httpx.TransportError):
        webs.post(0, Idempotency_Key="once", **headers)
    (gate / "fatal").unlink()
    del webs.addresses[0]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_process_killed_before_its_answer_is_spoken_for_by_another(web, webs, processes, gate):
    webs.start(DYING, PRODUCT)
    killed(webs, gate)
    assert rows(web) == {"workloads": 1, "runs": 1, "results": 0, "idempotency_keys": 1}
    answer = webs.post(0, Idempotency_Key="once")
    assert (answer.status_code, answer.headers["Idempotency-Replayed"]) == (202, "true")
    with web.sessions() as session:
        assert session.scalar(select(RunRow.id)) == answer.json()["id"]
    processes.worker("workers.app")
    processes.dispatcher()
    webs.wait_until_done(answer.headers["Location"])
    assert webs.post(0, Idempotency_Key="once").content == answer.content
    assert rows(web) == {"workloads": 1, "runs": 1, "results": 1, "idempotency_keys": 1}


@on_sqlite
def test_a_client_whose_server_was_killed_while_it_waited_gets_the_same_run(web, webs, gate):
    _, address = webs.start(DYING, PRODUCT)
    killed(webs, gate, Prefer="wait=1")
    assert webs.post(0, Idempotency_Key="once").status_code == 409
    told = []
    with Headroom(address, webs.token, patience=Patience(), on_pause=lambda why, _: told.append(why.status)) as client:
        run = client.submit(SMALL_CHAT, idempotency_key="once")
    assert set(told) == {409}
    assert rows(web)["runs"] == 1
    assert webs.get(f"/v1/runs/{run.id}").json() == run.document


@on_sqlite
def test_two_keys_in_one_request_are_refused_by_a_real_server_too(webs):
    webs.start(PRODUCT)
    headers = [("Authorization", f"Bearer {webs.token}"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = httpx.post(f"{webs.addresses[0]}/v1/workloads", json=SMALL_CHAT, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-idempotency-key")
