"""The process that delivers, with a real broker: killed while it sends; receivers that hang beside a sizing."""

import dataclasses
import json
import subprocess
from dataclasses import dataclass

import pytest

from scripts.processes import deliverer
from service.access import Caller, Role
from service.addresses import parse_networks
from service.outbound import Outbound
from service.planning.delivery.reading import ping
from service.planning.keys import authenticate, create_key
from service.planning.reading import get_run
from service.planning.submit import submit
from service.planning.webhook_changes import create
from service.runtime import Runtime
from service.schemas.webhook import WebhookRequest
from tests.planning.conftest import caller_of, chat
from tests.sink import Sink, running_sink
from tests.workers.conftest import Processes, eventually, own_limits

pytestmark = pytest.mark.slow
LOOPBACK = "127.0.0.0/8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """What a web process holds, a receiver, and the processes beside them."""

    web: Runtime
    admin: Caller
    sink: Sink
    processes: Processes

    def pinged(self, path: str, *, times: int = 1) -> None:
        """A webhook that is sent something."""
        request = WebhookRequest(name=None, url=self.sink.url(path), events=("run.done",), enabled=True)
        made = create(self.web, self.admin, request, request_id="req_1")
        for _ in range(times):
            ping(self.web, self.admin, made.id)

    def deliverer(self) -> subprocess.Popen[bytes]:
        return self.processes.start("deliverer", *deliverer(self.web.settings).arguments)

    def eventually(self, what, *, log: str = "deliverer") -> None:
        eventually(what, within_s=60, say=lambda: self.processes.log(log)[-3000:])


@pytest.fixture
def rig(web, processes):
    processes.environment["HEADROOM_WEBHOOK_NETWORKS"] = LOOPBACK
    allowing = dataclasses.replace(web, outbound=Outbound(allowed=parse_networks(LOOPBACK)))
    tenant_id = caller_of(web, "acme").tenant_id
    admin = authenticate(web, create_key(web, tenant_id, principal="root", role=Role.ADMIN).token)
    with running_sink() as sink:
        yield Rig(web=allowing, admin=admin, sink=sink, processes=processes)


def test_killed_while_it_sends_it_sends_the_same_again(rig):
    rig.pinged("/silent")
    rig.processes.dispatcher()
    killed = rig.deliverer()
    rig.eventually(lambda: rig.sink.received)
    rig.processes.kill(killed)
    rig.sink.stopped.set()
    rig.deliverer()
    rig.eventually(lambda: len(rig.sink.received) > 1)
    assert len({one.body for one in rig.sink.received}) == 1
    assert len({one.headers["headroom-event-id"] for one in rig.sink.received}) == 1
    assert json.loads(rig.sink.received[0].body)["event"] == "webhook.ping"


@own_limits
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_receivers_that_hang_hold_up_no_sizing(rig):
    for _ in range(6):
        rig.pinged("/silent", times=3)
    rig.processes.dispatcher()
    rig.deliverer()
    rig.processes.worker("workers.app")
    rig.eventually(lambda: len(rig.sink.received) >= 6)
    run = submit(rig.web, rig.admin, chat(), request_id="req_2")
    rig.eventually(lambda: get_run(rig.web, rig.admin, run.id).status == "done", log="worker")
