"""A rig: a runtime that may call a sink on this machine, webhooks, and what the dispatcher and a worker would do."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from service.access import Caller, Role
from service.addresses import parse_networks
from service.outbound import Outbound
from service.planning.delivery.deliver import deliver
from service.planning.delivery.feed import feed_deliveries
from service.planning.keys import authenticate, create_key
from service.planning.transact import read, transact
from service.planning.webhook_changes import create
from service.planning.webhook_view import WebhookView
from service.planning.webhooks import Announcement, EventName, announce
from service.queue import TaskName
from service.runtime import Runtime
from service.schemas.webhook import WebhookRequest
from service.store.tables.webhooks import WebhookDeliveryRow
from tests.fakes import FixedClock, ListQueue
from tests.sink import Sink, running_sink

LOOPBACK = parse_networks("127.0.0.0/8")
# A busy machine takes its time; where the end of patience is what is looked at, it is short.
TOTAL_S, HASTY_S = 10.0, 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """Everything that a delivery meets."""

    runtime: Runtime
    build: Callable[..., Runtime]
    admin: Caller
    rival: Caller
    clock: FixedClock
    queue: ListQueue
    sink: Sink

    def hasty(self) -> Runtime:
        """The same, with little patience."""
        return self.build(outbound=Outbound(allowed=LOOPBACK, total_s=HASTY_S))

    def hooked(
        self, path: str = "/hook", *, events: tuple[str, ...] = ("run.done",), caller: Caller | None = None
    ) -> WebhookView:
        """A webhook of the tenant, or of another one's caller."""
        request = self.asked(path, events=events)
        return create(self.runtime, caller or self.admin, request, request_id="req_1")

    def asked(self, path: str, *, events: tuple[str, ...] = ("run.done",)) -> WebhookRequest:
        return WebhookRequest(name=None, url=self.sink.url(path), events=tuple(sorted(events)), enabled=True)

    def happen(
        self, subject_id: str = "run_1", *, name: EventName = EventName.RUN_DONE, caller: Caller | None = None
    ) -> int:
        """Something happens that the webhooks hear of."""
        said = Announcement(
            tenant_id=(caller or self.admin).tenant_id,
            name=name,
            subject_id=subject_id,
            href=f"/v1/runs/{subject_id}",
            data={"status": "done"},
            at=self.clock(),
        )
        return transact(self.runtime, lambda session: announce(self.runtime, session, said))

    def work(self, *, within: Runtime | None = None) -> int:
        """Ring for what is due, and send all that was rung for, until nothing is; how many attempts that were."""
        runtime, attempts = within or self.runtime, 0
        feed_deliveries(runtime)
        while self.queue.sent:
            attempts += deliver(runtime, self.rung())
        return attempts

    def rung(self) -> str:
        """The delivery that was rung for first, taken from the queue."""
        task, (delivery_id,) = self.queue.sent.pop(0)
        assert task is TaskName.DELIVER_WEBHOOK
        return delivery_id

    def deliveries(self) -> list[WebhookDeliveryRow]:
        """The rows, oldest first."""

        def query(session):
            return list(session.query(WebhookDeliveryRow).order_by(WebhookDeliveryRow.id))

        return read(self.runtime, query)


@pytest.fixture
def rig(build, caller, stranger, clock, queue):
    runtime = build(outbound=Outbound(allowed=LOOPBACK, total_s=TOTAL_S))

    def admin_of(tenant_id: str) -> Caller:
        key = create_key(runtime, tenant_id, principal="root", role=Role.ADMIN)
        return authenticate(runtime, key.token)

    with running_sink() as sink:
        yield Rig(
            runtime=runtime,
            build=build,
            admin=admin_of(caller.tenant_id),
            rival=admin_of(stranger.tenant_id),
            clock=clock,
            queue=queue,
            sink=sink,
        )
