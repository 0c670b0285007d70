"""Schemathesis reads the document and tries every operation: examples, edges, random data, and walks along links."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import StopReason, events, from_schema
from schemathesis.transport.wsgi import WSGITransport

from service.access import Role
from service.app import create_app
from service.outbound import Outbound
from service.planning.execute import execute
from service.planning.heartbeat import DISPATCHER, WORKER, beat
from service.planning.keys import create_key, create_tenant
from service.queue import QueueName, TaskName
from service.runtime import Facts, Runtime, build_runtime
from service.settings import Settings
from tests.fakes import FixedClock, ListQueue, resolves_to_public

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
)
# Not positive_data_acceptance: a schema cannot say which ids the catalog has, or that counts add up to layers.
OF_SOCKETS = ("max_redirects", "verify", "cert", "proxies")
MANY = 10_000_000


class PromptQueue(ListQueue):
    """A queue whose worker is at once done with two of three runs; the third waits for ever, to be cancelled."""

    runtime: Runtime
    rung = 0

    def enqueue(self, task: TaskName, *ids: str, queue: QueueName | None = None) -> bool:
        self.rung += 1
        if self.rung % 3:
            execute(self.runtime, ids[0])
        return True


@pytest.fixture
def served(settings: Settings, facts: Facts, migrated_sqlite, tmp_path) -> Flask:
    """An application that is ready, answers its runs, waits for nobody and has limits that nobody reaches."""
    (tmp_path / "headroom.db").write_bytes(migrated_sqlite.read_bytes())
    queue = PromptQueue()
    # A walk may revoke the very key that it walks with; it goes on, because a key is trusted for a while.
    roomy = replace(
        settings,
        rate_limit_reads=MANY,
        rate_limit_writes=MANY,
        rate_limit_unknown=MANY,
        wait_max_s=0,
        key_memory_s=3600,
    )
    outbound = Outbound(resolver=resolves_to_public)
    queue.runtime = build_runtime(roomy, facts=facts, queue=queue, clock=FixedClock(), outbound=outbound)
    for role in (WORKER, DISPATCHER):
        beat(queue.runtime, f"{role}:1", role=role)
    return create_app(queue.runtime)


@pytest.fixture
def token(served: Flask) -> str:
    runtime = served.extensions["headroom"]
    return create_key(runtime, create_tenant(runtime, "acme"), principal="tester", role=Role.ADMIN).token


@schemathesis.serializer("application/x-ndjson")
def one_line(_context: Any, value: Any) -> bytes:
    """What a line of an upload may hold, as one line of it."""
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@pytest.fixture(autouse=True)
def _in_process(monkeypatch):
    """Requests without a key are sent with settings of sockets, which a client without sockets does not know."""
    send = WSGITransport.send

    def without_sockets(self, case, **options):
        return send(self, case, **{name: value for name, value in options.items() if name not in OF_SOCKETS})

    # A fault of schemathesis 4.32.5: WSGITransport.send drops these itself, but only beside a session.
    monkeypatch.setattr(WSGITransport, "send", without_sockets)


def configuration(token: str, phases: tuple[str, ...], *, examples: int, seed: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            # What an earlier run has seen would change what this one tries.
            "cache": {"enabled": False},
            # Without a network between it reads no encoding, though it says that it takes gzip.
            "headers": {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"},
            "generation": {"max-examples": examples, "deterministic": True, "no-shrink": True, "database": "none"},
            "checks": {
                "enabled": False,
                **{name: {"enabled": True} for name in CHECKS},
                # A condition that is missing has a status of its own.
                "missing_required_header": {"enabled": True, "expected-statuses": [400, 401, 403, 422, 428]},
            },
            "phases": {
                "enabled": False,
                **{phase: {"enabled": True} for phase in phases},
                # Many walks end at a refusal early: it takes more of them to get far.
                "stateful": {"enabled": "stateful" in phases, "generation": {"max-examples": 8 * examples}},
            },
        }
    )


def findings(event: Any) -> Iterator[str]:
    if isinstance(event, events.NonFatalError | events.FatalError):
        yield str(event)
    elif isinstance(event, events.ScenarioFinished):
        for checks in event.recorder.checks.values():
            for check in checks:
                if (info := check.failure_info) is not None:
                    where = f"{event.phase.value}, {event.recorder.label}: {check.name}"
                    yield f"{where}\n{info.failure}\n{info.code_sample}"
    elif isinstance(event, events.EngineFinished) and event.stop_reason is not StopReason.COMPLETED:
        yield f"stopped: {event.stop_reason}"


@pytest.mark.slow
@pytest.mark.parametrize("phases", [("coverage",), ("examples", "fuzzing", "stateful")], ids="+".join)
def test_no_answer_is_undocumented(phases, served: Flask, token: str, pytestconfig, record_property):
    examples, seed = pytestconfig.getoption("contract_examples"), pytestconfig.getoption("contract_seed")
    config = configuration(token, phases, examples=examples, seed=seed)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", served, config=config)
    found: list[str] = []
    answered: Counter[tuple[str, int]] = Counter()
    for event in from_schema(schema).execute():
        found += findings(event)
        if isinstance(event, events.ScenarioFinished):
            known = [step.response.status_code for step in event.recorder.interactions.values() if step.response]
            answered.update((event.phase.value, status // 100) for status in known)
    assert not found, "\n\n".join(found)
    # It has really been at work: every phase was answered, with successes and with refusals.
    assert {(phase, kind) for phase, kind in answered if kind in {2, 4}} == {
        (phase, kind) for phase in phases for kind in (2, 4)
    }, answered
    record_property("answers", sum(answered.values()))
