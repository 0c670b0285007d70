"""Schedules over a few workloads, found due and worked on in this process."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from service.access import Caller, Role
from service.planning.batch.chunk import size_chunk
from service.planning.execute import execute
from service.planning.keys import authenticate, create_key
from service.planning.schedule.asking import run_now
from service.planning.schedule.due import begin_due, ring
from service.planning.schedule.pages import PAGES, Pages
from service.planning.schedule.reading import list_occurrence_items, list_occurrences
from service.planning.schedule.resize import resize
from service.planning.schedule.view import OccurrenceView, ScheduleView
from service.planning.schedule.writing import create
from service.planning.submit import submit
from service.planning.versions import record_release
from service.queue import TaskName
from service.runtime import Facts, Runtime
from service.schemas.schedule import ScheduleRequest, ScheduleRequestSchema
from service.schemas.workload import SizingRequestSchema
from service.store.tables.schedules import Outcome
from tests.fakes import FixedClock, ListQueue
from tests.planning.batch.conftest import asking
from tests.planning.conftest import caller_of

NIGHTLY: dict[str, Any] = {"name": "nightly", "cron": "0 2 * * *"}
DAY_S = 86_400


def saying(**changes: Any) -> ScheduleRequest:
    """The nightly schedule with some of its fields changed."""
    request: ScheduleRequest = ScheduleRequestSchema().load({**NIGHTLY, **changes})
    return request


def dearer(facts: Facts, *, factor: str = "1.5", digest: str = "sha256:dearer") -> Facts:
    """The same facts with higher prices: what a new price book makes of the answers."""
    times = Decimal(factor)
    lines = {
        part: replace(line, list_price_usd=None if line.list_price_usd is None else line.list_price_usd * times)
        for part, line in facts.price_book.lines.items()
    }
    return replace(facts, price_book=replace(facts.price_book, lines=lines, digest=digest))


@dataclass(slots=True)
class Acme:
    """A tenant with an administrator, and the processes that work for it."""

    runtime: Runtime
    admin: Caller
    queue: ListQueue
    clock: FixedClock
    build: Callable[..., Runtime]
    pages: Pages = PAGES

    def post(self, name: str, *, labels: dict[str, str] | None = None, answered: bool = True, **workload: Any) -> str:
        """The example under a name, with some fields changed, answered or forgotten; the id of the workload."""
        self.clock.advance(1)
        request = SizingRequestSchema().load({**asking(name, **workload), "labels": labels or {}})
        run = submit(self.runtime, self.admin, request, request_id="req_1")
        if answered:
            self.work()
        self.queue.sent.clear()
        return run.workload_id

    def schedule(self, **changes: Any) -> ScheduleView:
        """The nightly schedule with some of its fields changed."""
        return create(self.runtime, self.admin, saying(**changes), request_id="req_1")

    def work(self, by: Runtime | None = None) -> None:
        """Do what workers would, of this or another version, until no bell is left."""
        worker = by or self.runtime
        while self.queue.sent:
            task, ids = self.queue.sent.pop(0)
            if task is TaskName.SIZE_CHUNK:
                size_chunk(worker, ids[0], int(ids[1]))
            elif task is TaskName.RESIZE_STALE:
                resize(worker, ids[0], pages=self.pages)
            else:
                execute(worker, *ids)

    def night(self, by: Runtime | None = None) -> int:
        """Do what dispatcher and workers would until nothing is due; how many occurrences were begun."""
        if by is not None:
            record_release(by)
        begun = begin_due(by or self.runtime)
        while ring(self.runtime):
            self.work(by)
        return begun

    def newer(self, facts: Facts) -> Runtime:
        """A process of another version."""
        return self.build(facts=facts)

    def asked(self, schedule: ScheduleView) -> OccurrenceView:
        """An occurrence that somebody asks for, and that nobody has begun."""
        found = run_now(self.runtime, self.admin, schedule.id, request_id="req_2")
        self.queue.sent.clear()
        return found

    def last(self, schedule: ScheduleView) -> OccurrenceView:
        """Its newest occurrence."""
        return list_occurrences(self.runtime, self.admin, schedule.id)[0]

    def outcomes(self, occurrence_id: str) -> list[Outcome | None]:
        """What became of each workload."""
        return [item.outcome for item in list_occurrence_items(self.runtime, self.admin, occurrence_id)]


@pytest.fixture
def acme(build: Callable[..., Runtime], queue: ListQueue, clock: FixedClock) -> Acme:
    runtime = build()
    tenant_id = caller_of(runtime, "acme").tenant_id
    key = create_key(runtime, tenant_id, principal="root", role=Role.ADMIN)
    admin = authenticate(runtime, key.token)
    return Acme(runtime=runtime, admin=admin, queue=queue, clock=clock, build=build)


@pytest.fixture
def stranger(acme: Acme) -> Caller:
    return caller_of(acme.runtime, "other")
