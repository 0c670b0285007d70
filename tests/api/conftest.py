"""The application on SQLite with a list for a queue, two tenants, and a client that speaks for one of them."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.access import Role
from service.app import create_app
from service.edge.authentication import remember_keys
from service.edge.context import attach
from service.edge.limits import limit_rates
from service.edge.recent_readiness import keep_readiness
from service.edge.refused_calls import tell_of_refused_calls
from service.edge.waiting import open_waiting_room
from service.outbound import Outbound
from service.planning.batch.chunk import size_chunk
from service.planning.execute import execute
from service.planning.keys import create_key, create_tenant
from service.planning.schedule.resize import resize
from service.queue import TaskName
from service.runtime import Facts, Runtime, build_runtime
from service.settings import Settings
from tests.contract import Contract, contract_of
from tests.fakes import ListQueue, resolves_to_public


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """A client with a key."""

    client: FlaskClient
    tenant_id: str
    token: str

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=self._headers(headers))

    def post(self, path: str, body: Any = None, *, data: bytes | None = None, **headers: str) -> TestResponse:
        if data is None:
            return self.client.post(path, json=body, headers=self._headers(headers))
        content_type = headers.pop("content_type", "application/json")
        return self.client.post(path, data=data, content_type=content_type, headers=self._headers(headers))

    def put(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self.client.put(path, json=body, headers=self._headers(headers))

    def delete(self, path: str, **headers: str) -> TestResponse:
        return self.client.delete(path, headers=self._headers(headers))

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"Authorization": f"Bearer {self.token}", **named}


@pytest.fixture
def runtime(settings: Settings, facts: Facts, queue: ListQueue, migrated_sqlite: Path) -> Runtime:
    shutil.copy(migrated_sqlite, settings.database_url.removeprefix("sqlite:///"))
    return build_runtime(settings, facts=facts, queue=queue, outbound=Outbound(resolver=resolves_to_public))


def attached(app: Flask, runtime: Runtime) -> Flask:
    """The application with the runtime of a test, and nothing that it remembers of another."""
    attach(app, runtime)
    open_waiting_room(app, threads=runtime.settings.web_threads)
    limit_rates(app, runtime.settings)
    # Not a second later, in the log of another test.
    tell_of_refused_calls(app, later=lambda *_: None)
    remember_keys(app, memory_s=runtime.settings.key_memory_s)
    keep_readiness(app)
    return app


@pytest.fixture
def app(shared_app: Flask, runtime: Runtime) -> Flask:
    """The application with the runtime of this test."""
    return attached(shared_app, runtime)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Sends requests without a key."""
    return app.test_client()


@pytest.fixture
def own_app(runtime: Runtime) -> Flask:
    """An application that the test may change."""
    return create_app(runtime)


@pytest.fixture
def speaker(app: Flask, runtime: Runtime):
    """Makes a client of a tenant with a role."""

    def make(tenant: str = "acme", role: Role = Role.REQUESTER) -> Speaker:
        tenant_id = create_tenant(runtime, tenant)
        key = create_key(runtime, tenant_id, principal=f"{tenant}-{role}", role=role)
        return Speaker(client=app.test_client(), tenant_id=tenant_id, token=key.token)

    return make


@pytest.fixture
def acme(speaker) -> Speaker:
    return speaker("acme")


@pytest.fixture
def admin(speaker) -> Speaker:
    return speaker("acme", Role.ADMIN)


@pytest.fixture
def rival(speaker) -> Speaker:
    return speaker("rival")


@pytest.fixture
def work(runtime: Runtime, queue: ListQueue):
    """Does what a worker would: executes everything that was rung for."""

    def run() -> int:
        done = 0
        while queue.sent:
            task, ids = queue.sent.pop(0)
            if task is TaskName.SIZE_CHUNK:
                done += size_chunk(runtime, ids[0], int(ids[1]))
            elif task is TaskName.RESIZE_STALE:
                done += resize(runtime, *ids)
            else:
                done += execute(runtime, *ids)
        return done

    return run


@pytest.fixture
def contract(app: Flask) -> Contract:
    """What the application promises; every client of every test holds its answers against it."""
    return contract_of(app)


@pytest.fixture
def document(contract: Contract) -> dict[str, Any]:
    return contract.document


@pytest.fixture
def check():
    """The body of an answer that the client has held against the document, so that a test says it counts on that."""

    def validated(answer: TestResponse) -> Any:
        return answer.json if answer.data else None

    return validated
