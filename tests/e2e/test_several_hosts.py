"""Several hosts before one PostgreSQL and one Redis: they join, are cut off, freeze, are drained and upgraded."""

import dataclasses
import os
import signal
import threading
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from sqlalchemy import func, select

from scripts import nearby
from scripts.children import free_port
from scripts.faulting.trees import make_next_release
from scripts.processes import web as web_process
from service.access import Role
from service.planning.batch.reading import get_batch, results
from service.planning.keys import create_key
from service.store.tables.batches import BatchAnswerRow, BatchStatus
from tests.e2e.hosts import SERVERS, Host, copy_code
from tests.planning.batch.conftest import asking, distinct, post
from tests.planning.conftest import caller_of
from tests.proxy import proxied
from tests.workers.conftest import eventually

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]
WITHIN_S = 90


@pytest.fixture
def hosts(web, settings, tmp_path):
    """Makes hosts, each with cables of its own to the same servers."""
    addresses = {
        "DATABASE_URL": web.settings.database_url,
        "BROKER_URL": settings.broker_url,
        "CACHE_URL": settings.cache_url,
    }
    made: list[Host] = []
    with ExitStack() as cables:

        def make(name):
            folder = copy_code(tmp_path / name)
            (folder / "gate").mkdir()
            proxies = {}
            for server in SERVERS:
                parts = urlsplit(addresses[server])
                proxies[server] = cables.enter_context(proxied(parts.hostname, parts.port))
            made.append(Host(folder=folder, proxies=proxies, addresses=addresses))
            return made[-1]

        yield make
        for host in made:
            host.end()


def at_work(host):
    """The host holds a part of the batch."""
    eventually((host.gate / "started").exists, within_s=WITHIN_S, say=host.log)


def ended(web, caller, batch, *hosts):
    """The batch, once it is done."""

    def look():
        found = get_batch(web, caller, batch.id)
        return found if found.status is BatchStatus.DONE else None

    def say():
        return f"{get_batch(web, caller, batch.id)}\n" + "\n".join(host.log() for host in hosts)

    return eventually(look, within_s=WITHIN_S, say=say)


def answers(web):
    with web.sessions() as session:
        return session.scalar(select(func.count()).select_from(BatchAnswerRow))


def test_hosts_join_are_cut_off_freeze_and_are_drained_while_a_batch_runs(web, hosts):
    acme = caller_of(web, "acme")
    first, second, third = (hosts(name) for name in ("first", "second", "third"))
    for host in (first, second):
        (host.gate / "pause").write_text("0.1")
    second.close_gate()
    third.close_gate()
    first.dispatcher()
    batch = post(web, acme, *distinct(90, first=300), items_chunk=3)
    draining = first.worker()
    eventually(lambda: get_batch(web, acme, batch.id).counts.done, within_s=WITHIN_S, say=first.log)
    # Another host joins, takes a part, and loses every connection while it sizes.
    second.worker()
    at_work(second)
    second.cut_off()
    second.open_gate()
    whole = ended(web, acme, batch, first, second)
    assert (whole.counts.done, [item.line for item in results(web, acme, batch.id)]) == (90, list(range(1, 91)))
    assert answers(web) == 90
    # It finds its servers again. The first one is drained: it ends what it holds, and takes nothing more.
    second.heal()
    frozen = third.worker()
    eventually(lambda: "worker_ready" in third.log(), within_s=WITHIN_S, say=third.log)
    again = post(web, acme, *distinct(30, first=900), items_chunk=3)
    draining.terminate()
    at_work(third)
    os.killpg(frozen.pid, signal.SIGSTOP)
    assert draining.wait(WITHIN_S) == 0, first.log()
    whole = ended(web, acme, again, second, third)
    third.open_gate()
    os.killpg(frozen.pid, signal.SIGCONT)
    # The one that wakes up too late writes nothing, and takes the next batch alone.
    for process in second.started:
        process.terminate()
        process.wait(WITHIN_S)
    last = post(web, acme, *distinct(3, first=1500), items_chunk=3)
    assert ended(web, acme, last, third).counts.done == 3
    assert get_batch(web, acme, again.id) == whole
    assert (whole.counts.done, answers(web)) == (30, 123)


class Visitor:
    """Asks new questions one after another, and remembers how each was answered and how long that took."""

    def __init__(self, address, token):
        self.answers: list[tuple[int, str, float]] = []
        self._stop = threading.Event()
        self._address, self._token = address, token
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _ask(self):
        headers = {"Authorization": f"Bearer {self._token}", "Prefer": "wait=30"}
        with httpx.Client(base_url=self._address, headers=headers, timeout=60, trust_env=False) as client:
            number = 0
            while not self._stop.wait(0.1):
                number += 1
                began_s = time.monotonic()
                answer = client.post("/v1/workloads", json=asking(f"{number}", osl_tokens=300 + number))
                told = answer.json().get("status", answer.text)
                self.answers.append((answer.status_code, told, time.monotonic() - began_s))

    def hears(self, more=3):
        """Wait for so many more answers."""
        wanted = len(self.answers) + more
        eventually(lambda: len(self.answers) >= wanted, within_s=WITHIN_S, say=lambda: str(self.answers[-3:]))


def revision_of(host):
    url = host.addresses["DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def test_a_release_is_rolled_out_and_back_while_the_one_before_it_runs(web, hosts):
    acme = caller_of(web, "acme")
    token = create_key(web, acme.tenant_id, principal="visitor", role=Role.REQUESTER).token
    old, new = hosts("old"), hosts("new")
    before, after = make_next_release(new.folder)
    port = free_port()
    old.more = {"HEADROOM_PORT": str(port), "HEADROOM_WEB_WORKERS": "1"}
    own = dataclasses.replace(web.settings, web_port=port, web_workers=1)
    old.dispatcher()
    leaving = old.worker("workers.app")
    old.start("web", *web_process(own).arguments)
    address = f"http://127.0.0.1:{port}"
    eventually(lambda: nearby.is_well(f"{address}/readyz"), within_s=WITHIN_S, say=lambda: old.log("web") + old.log())
    with Visitor(address, token) as visitor:
        visitor.hears()
        new.migrate()
        assert revision_of(new) == after
        visitor.hears()
        assert nearby.is_well(f"{address}/readyz")
        # Starting the old release anew changes nothing.
        old.migrate()
        assert revision_of(old) == after
        coming = new.worker("workers.app")
        leaving.terminate()
        assert leaving.wait(WITHIN_S) == 0, old.log()
        visitor.hears()
        # Back: the old release takes over, and then the schema goes back under it.
        old.worker("workers.app")
        coming.terminate()
        assert coming.wait(WITHIN_S) == 0, new.log()
        new.migrate("--to", before)
        assert revision_of(old) == before
        visitor.hears()
        assert nearby.is_well(f"{address}/readyz")
    assert {(status, told) for status, told, _ in visitor.answers} == {(200, "done")}, visitor.answers
