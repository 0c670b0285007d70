"""What the engine and the renderers do lies in the trace of the request that asked for it, whoever does it."""

from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.edge.context import attach
from service.planning.batch.chunk import size_chunk
from service.planning.render import render
from service.tracing_otel import OpenTelemetry
from tests.api.selling import SMALL, open_shop
from tests.api.test_estimates import ALL as ESTIMATES


@pytest.fixture
def traced(runtime, app):
    """The runtime with a tracer, and what it has seen: spans by name."""
    seen = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    with_spans = replace(runtime, tracing=OpenTelemetry(provider))
    attach(app, with_spans)

    def spans(name):
        return [span for span in seen.get_finished_spans() if span.name == name]

    return with_spans, spans


def parent_of(span) -> int:
    return span.parent.span_id


def test_a_call_of_the_engine_lies_in_its_chunk_and_that_in_the_trace_of_the_upload(traced, acme):
    runtime, spans = traced
    with runtime.tracing.span("a request"):
        items = [SMALL, SMALL | {"name": "again"}, SMALL | {"name": "typo", "workload": {}}]
        batch = acme.post("/v1/batches", items).json
    assert size_chunk(runtime, batch["id"], 0)
    (request,), (chunk,), (size,) = spans("a request"), spans("size_chunk"), spans("size")
    assert parent_of(chunk) == request.context.span_id
    assert parent_of(size) == chunk.context.span_id
    assert len({one.context.trace_id for one in (request, chunk, size)}) == 1
    # Of equal questions one is sized.
    assert (size.attributes["headroom.items"], size.attributes["headroom.kind"]) == (1, "inference")


def test_an_estimate_is_a_span_of_its_request(traced, acme):
    runtime, spans = traced
    with runtime.tracing.span("a request"):
        assert acme.post("/v1/estimates", ESTIMATES["fold"]).status_code == 200
    (request,), (estimate,) = spans("a request"), spans("estimate")
    assert parent_of(estimate) == request.context.span_id
    assert estimate.attributes["headroom.kind"] == "science"


def test_documents_are_made_in_the_trace_of_whoever_asked_first(traced, speaker, work):
    runtime, spans = traced
    shop = open_shop(speaker, work, "acme")
    quote_id = shop.draft().json["id"]
    with runtime.tracing.span("a request"):
        assert shop.seller.get(f"/v1/quotes/{quote_id}.csv").status_code == 202
    assert render(runtime, quote_id) == 3
    (request,), (made,) = spans("a request"), spans("render")
    assert parent_of(made) == request.context.span_id
    assert {one.attributes["headroom.form"] for one in spans("set")} == {"pdf", "xlsx", "csv"}
    assert {parent_of(one) for one in spans("set")} == {made.context.span_id}
    assert request.context.trace_id in {one.context.trace_id for one in spans("ring")}
