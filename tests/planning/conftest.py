"""A Runtime with the real catalog, on each database, with a real cache, a list for a queue and a clock that stands."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy import event, func, select

from service.access import Caller, Role
from service.planning.keys import authenticate as authenticate_key
from service.planning.keys import create_key, create_tenant
from service.planning.submit import submit
from service.planning.view import RunView
from service.runtime import Facts, Runtime, build_runtime
from service.schemas.workload import SizingRequest, SizingRequestSchema
from service.settings import Settings
from service.store.tables.row import Row
from service.store.tables.runs import RunRow
from tests.fakes import FixedClock, ListQueue

CHAT: dict[str, Any] = {
    "name": "chat",
    "labels": {"team": "care"},
    "workload": {
        "kind": "inference",
        "model": "llama-3.1-8b",
        "weight_precision": "fp8",
        "isl_tokens": 1000,
        "osl_tokens": {"mean": 200},
        "demand": {"requests_s": 5},
        "slo": {"ttft_ms": 2000, "tpot_ms": 50},
    },
}


def chat(**workload: Any) -> SizingRequest:
    """The example with some fields of its workload changed."""
    body = copy.deepcopy(CHAT)
    body["workload"] |= workload
    return SizingRequestSchema().load(body)


def ask(runtime: Runtime, caller: Caller, request: SizingRequest | None = None) -> RunView:
    """The example is asked, or something else."""
    return submit(runtime, caller, request or chat(), request_id="req_1")


def rows(runtime: Runtime, table: type[Row]) -> int:
    """How many a table has."""
    with runtime.sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def row_of(runtime: Runtime, run_id: str) -> RunRow:
    """A run as it is stored."""
    with runtime.sessions() as session:
        return session.get_one(RunRow, run_id)


def compute(seconds: float) -> None:
    """Be at work for so long, however long that takes."""
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        sum(range(1000))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def build(
    settings: Settings, database_url: str, facts: Facts, clock: FixedClock, queue: ListQueue
) -> Iterator[Callable[..., Runtime]]:
    """Builds another process's Runtime on the same servers."""
    made: list[Runtime] = []

    def make(**changes: Any) -> Runtime:
        values = {"facts": facts, "queue": queue, "clock": clock} | changes
        import_settings = Settings(**{**_fields(settings), "database_url": database_url})
        runtime = build_runtime(import_settings, **values)
        made.append(runtime)
        return runtime

    yield make
    for runtime in made:
        runtime.sessions.kw["bind"].dispose()


def _fields(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__slots__}


@pytest.fixture
def runtime(build: Callable[..., Runtime]) -> Runtime:
    return build()


def caller_of(runtime: Runtime, tenant: str) -> Caller:
    tenant_id = create_tenant(runtime, tenant)
    key = create_key(runtime, tenant_id, principal="ann", role=Role.REQUESTER)
    return authenticate_key(runtime, key.token)


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return caller_of(runtime, "acme")


@pytest.fixture
def run(runtime: Runtime, caller: Caller) -> RunView:
    """The example, which waits for a worker."""
    return ask(runtime, caller)


@pytest.fixture
def stranger(runtime: Runtime) -> Caller:
    return caller_of(runtime, "other")


@pytest.fixture
def statements() -> Callable[[Runtime], AbstractContextManager[list[str]]]:
    """Counts what a runtime asks its database while the block lasts."""

    @contextmanager
    def counting(runtime: Runtime) -> Iterator[list[str]]:
        engine, seen = runtime.sessions.kw["bind"], []

        def told(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", told)
        try:
            yield seen
        finally:
            event.remove(engine, "before_cursor_execute", told)

    return counting
