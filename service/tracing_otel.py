"""Tracing by OpenTelemetry: loaded by service.tracing where a collector is configured, and imported by nobody."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers

from service.tracing import Attribute

_OURS = "headroom."
_TRACEPARENT = "traceparent"
_STOP_WITHIN_S = 2.0
_PROPAGATOR = TraceContextTextMapPropagator()
# What may leave the house. Addresses of callers, queries of URLs, users of databases and words of errors may not.
_ALLOWED = frozenset(
    [
        *("http.method", "http.route", "http.status_code", "http.flavor", "http.scheme"),
        *("http.request.method", "http.response.status_code", "network.protocol.version", "url.scheme"),
        *("db.system", "db.statement", "db.system.name", "db.query.text"),
        *("db.redis.args_length", "db.redis.database_index", "exception.type"),
    ]
)


class OurSpan:
    """One of our own spans."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def set(self, **attributes: Attribute) -> None:
        """Add what became known; None is left out."""
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(_OURS + name, value)

    def fail(self, code: str) -> None:
        """It ended without what was wanted."""
        self._span.set_attribute(f"{_OURS}code", code)
        self._span.set_status(Status(StatusCode.ERROR))


class OpenTelemetry:
    """Spans of this process, sent to a collector in batches from a thread of their own."""

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("headroom")

    @contextmanager
    def span(
        self, name: str, *, parent: str | None = None, began_ns: int | None = None, **attributes: Attribute
    ) -> Iterator[OurSpan]:
        """A span around a block. What is raised in it makes it an error of that type."""
        context = None if parent is None else _PROPAGATOR.extract({_TRACEPARENT: parent}, context=Context())
        with self._tracer.start_as_current_span(name, context=context, start_time=began_ns) as span:
            ours = OurSpan(span)
            ours.set(**attributes)
            yield ours

    def traceparent(self) -> str | None:
        """The current span in the words of W3C."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get(_TRACEPARENT)

    def trace_id(self) -> str | None:
        """The current trace in hexadecimal."""
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    def watch_engine(self, engine: Any) -> None:
        """Spans for the statements of an engine, without their parameters."""
        # Not by the library's instrumentor: it refuses SQLAlchemy 2.1, and needs its part for asyncio, which needs
        # greenlet. What it would put around an engine works; a test holds that it goes on to.
        usage = NoOpMeter("headroom").create_up_down_counter("connections")
        EngineTracer(self._tracer, engine, usage)  # type: ignore[no-untyped-call]  # the library has types in part

    def stop(self) -> None:
        """Send what is left, and give up soon."""
        thread = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        thread.start()
        thread.join(_STOP_WITHIN_S)


def start(service: str, *, endpoint: str, headers: str) -> OpenTelemetry:
    """Begin to trace this process: the library reads the sizes of batches and the sampler from its own variables."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", headers=parse_env_headers(headers))
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.sampler = WithinTraces(provider.sampler)
    provider.add_span_processor(BatchSpanProcessor(AllowedOnly(exporter)))
    RedisInstrumentor().instrument(tracer_provider=provider)
    return OpenTelemetry(provider)


class WithinTraces(Sampler):
    """Calls of database and Redis are kept within a trace only: the dispatcher looks around every second, for ever."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(  # noqa: PLR0917 - the signature is the library's
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """Drop what a library would begin a trace with."""
        if kind is SpanKind.CLIENT and not trace.get_current_span(parent_context).get_span_context().is_valid:
            return SamplingResult(Decision.DROP)
        return self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """For whoever looks at it."""
        return f"WithinTraces({self._sampler.get_description()})"


class AllowedOnly(SpanExporter):
    """Sends spans with the attributes that are allowed, and no words of errors: they may quote customers."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        return self._exporter.export([_allowed(span) for span in spans])

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """There is nothing in here that could wait."""
        return self._exporter.force_flush(timeout_millis)


def _allowed(span: ReadableSpan) -> ReadableSpan:
    attributes = _allowed_attributes(span.attributes)
    return ReadableSpan(
        name=_name(span.name, attributes),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[Event(event.name, _allowed_attributes(event.attributes), event.timestamp) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _allowed_attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name in _ALLOWED or name.startswith(_OURS)}


def _name(name: str, attributes: Mapping[str, Any]) -> str:
    """Without the path where no route answered, and without the file or name of a database: few names, no secrets."""
    if "http.route" in attributes:
        return name
    if "http.method" in attributes or "http.request.method" in attributes or "db.system" in attributes:
        return name.split(" ", 1)[0]
    return name
