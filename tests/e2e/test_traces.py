"""One request is one trace, from HTTP to the answer of a worker, whoever rang; nobody waits for a collector."""

import json
import os
import signal
import subprocess
import sys

import pytest

from config.environment import ROOT
from tests.e2e.collector import collecting
from tests.e2e.conftest import READY_WITHIN_S, running, server_of
from tests.e2e.test_logs import lines_of
from tests.e2e.test_walk import chat, follow

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CANARY = "Mercy Hospital"
slow = [pytest.mark.slow, pytest.mark.xdist_group("traces")]


@pytest.fixture(scope="module")
def collector():
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def traced(tmp_path_factory, collector):
    """A product of its own that sends its spans to the collector."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-collector-key=opensesame",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "HEADROOM_BREAKER_OPEN_S": "0.5",
    }
    with running(tmp_path_factory.mktemp("traced") / "data", "--no-examples", **environ) as started:
        started.wait_until(started.ready, within_s=READY_WITHIN_S, what="ready")
        yield started


def post(traced, concurrency, trace_id, *, first=lambda: None):
    """A run of a customer whose name must not leave the house, in a trace that the customer began.

    `first` is what happens immediately before.
    """
    body = {**chat(concurrency), "name": CANARY, "labels": {"team": CANARY}}
    with traced.client() as client:
        first()
        answer = client.post("/v1/workloads", json=body, headers={"traceparent": f"00-{trace_id}-{PARENT}-01"})
        assert answer.status_code in {200, 202}, answer.text
        return follow(client, answer.json())


def whole(traced, collector, trace_id):
    """The spans of a trace by name, once the last of them is there."""

    def found():
        return {"execute", "POST /v1/workloads"} <= {seen.span.name for seen in collector.spans(trace_id)}

    traced.wait_until(found, within_s=60, what="the whole trace")
    return {seen.span.name: seen for seen in collector.spans(trace_id)}


@pytest.fixture(scope="module")
def sized(traced, collector):
    """A run in a trace that its caller began, and the spans of that trace by name."""
    run = post(traced, 101, TRACE)
    return run, whole(traced, collector, TRACE)


class TestTraced:
    pytestmark = slow

    def test_one_post_is_one_trace_from_web_to_worker(self, sized):
        run, spans = sized
        http, submit, ring, execute = (spans[n] for n in ("POST /v1/workloads", "submit", "ring", "execute"))
        assert http.parent_id == PARENT
        assert submit.parent_id == http.span.span_id.hex()
        assert ring.parent_id == execute.parent_id == submit.span.span_id.hex()
        assert {spans[name].parent_id for name in ("claim", "size", "store")} == {execute.span.span_id.hex()}
        assert [seen.service for seen in (http, submit, ring, execute)] == [*["headroom-web"] * 3, "headroom-worker"]
        assert execute.attributes["headroom.run_id"] == submit.attributes["headroom.run_id"] == run["id"]
        assert execute.attributes["headroom.kind"] == "inference"
        assert execute.attributes["headroom.digest"] == run["digest"]
        assert execute.attributes["headroom.attempt"] == 1
        assert http.attributes["http.route"] == "/v1/workloads"
        assert http.attributes["headroom.tenant_id"] == execute.attributes["headroom.tenant_id"]
        assert execute.span.start_time_unix_nano <= spans["claim"].span.start_time_unix_nano

    def test_statements_and_commands_are_spans_without_their_parameters(self, sized, collector):
        spans = [seen for seen in collector.spans(TRACE) if seen.attributes.get("db.system")]
        statements = {seen.attributes["db.statement"].split(" ")[0]: seen for seen in spans}
        assert set(statements) >= {"SELECT", "INSERT", "UPDATE", "GET", "SET", "LPUSH"}
        assert {seen.span.name for seen in spans} <= {seen.attributes["db.statement"].split()[0] for seen in spans}
        assert statements["GET"].attributes["db.statement"] == "GET ?"

    def test_nothing_of_a_customer_leaves_the_house(self, sized, traced, collector):
        sent = b"".join(collector.bodies)
        assert TRACE.encode() not in sent
        assert bytes.fromhex(TRACE) in sent
        for secret in (CANARY, traced.key(), str(traced.folder), "http.target", "user_agent"):
            assert secret.encode() not in sent, secret
        assert all(headers["x-collector-key"] == "opensesame" for headers in collector.headers)

    def test_lines_name_their_trace(self, sized, traced):
        lines = [line for line in lines_of(traced) if line.get("trace_id") == TRACE]
        events = {(line["process"], line["event"]) for line in lines}
        assert events >= {
            *(("web", event) for event in ("request", "run_submitted", "run_rung")),
            *(("worker", event) for event in ("run_claimed", "run_done")),
        }

    def test_a_run_that_the_dispatcher_rings_goes_on_in_its_trace(self, traced, collector):
        trace_id = TRACE[::-1]
        broker = server_of(traced, "broker")
        run = post(traced, 102, trace_id, first=lambda: os.kill(broker, signal.SIGKILL))
        spans = whole(traced, collector, trace_id)
        assert run["status"] == "done"
        assert spans["execute"].parent_id == spans["submit"].span.span_id.hex()

        def rang() -> bool:
            """Each process sends its spans when it gets round to it."""
            found = {seen.service for seen in collector.spans(trace_id) if seen.span.name == "ring"}
            return found == {"headroom-web", "headroom-dispatcher"}

        traced.wait_until(rang, within_s=30, what="both rings")

    def test_a_path_that_no_route_knows_names_no_span(self, traced, collector):
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        with traced.client() as client:
            client.get(f"/{CANARY}?note={CANARY}", headers={"traceparent": f"00-{trace_id}-{PARENT}-01"})

        def of_http() -> set[str]:
            """The key that came with it is looked up and counted: spans of stores are none of the path's."""
            spans = [seen for seen in collector.spans(trace_id) if not seen.attributes.get("db.system")]
            return {seen.span.name for seen in spans}

        traced.wait_until(of_http, within_s=30, what="its span")
        assert of_http() == {"GET"}

    def test_who_only_looks_around_begins_no_trace(self, sized, collector):
        began = {seen.span.name for seen in collector.everything() if not seen.parent_id}
        assert all(name.split(" ")[0] in {"GET", "POST"} for name in began), began
        assert not any("readyz" in name for name in began)

    def test_a_dead_collector_costs_nobody_an_answer(self, traced, collector):
        collector.stop()
        try:
            with traced.client() as client:
                for concurrency in (103, 104):
                    answer = client.post("/v1/workloads", json=chat(concurrency))
                    assert answer.status_code == 202, answer.text
                    assert follow(client, answer.json())["status"] == "done"
        finally:
            collector.start()


# How a process of the product comes by what it works with, once more whenever it is asked.
PROCESSES = {
    "web": "from service.app import create_app as start",
    "worker": """
from workers import app
import workers.sizing
def start():
    app.settings.cache_clear()
    app._runtime.cache_clear()
    app.runtime()
""",
    "dispatcher": """
import workers.dispatcher as d
def start():
    settings = d.settings_from_environment()
    d.build_runtime(settings, tracing=d.make_tracing(settings, role="dispatcher"))
""",
}
# What of it is loaded in a process without a collector, and in one with a collector.
LOADED = """
import json, os, sys
heads = ("opentelemetry", "service.tracing_otel", "service.edge.spans")
def loaded(): return [name for name in sys.modules if name.startswith(heads)]
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = ""
{start}
start()
found = [loaded()]
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
start()
found.append(loaded())
os.write(1, json.dumps(found).encode())
"""


@pytest.mark.parametrize("role", sorted(PROCESSES))
def test_open_telemetry_is_loaded_where_it_is_configured_only(settings, role):
    """Nor does redis-py load it, which would wherever it is installed."""
    environ = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "CACHE_URL": settings.cache_url,
    }
    command = [sys.executable, "-c", LOADED.format(start=PROCESSES[role])]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    unconfigured, configured = map(set, json.loads(done.stdout))
    assert not unconfigured
    assert configured >= {"service.tracing_otel", "opentelemetry.exporter"}
