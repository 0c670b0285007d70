"""A span for every request, by OpenTelemetry: loaded by service.edge.tracing where a collector is configured."""

from typing import Any

from flask import Flask, g
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span

_PROBES = r"^[a-z]+://[^/]+/(healthz|readyz|metrics)([?]|$)"


def watch(app: Flask, provider: TracerProvider) -> None:
    """To be called before any other hook is installed: a trace begins before everything, and ends after it."""
    FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]  # the library has types in part
        app,
        tracer_provider=provider,
        meter_provider=NoOpMeterProvider(),
        excluded_urls=_PROBES,
        enable_commenter=False,
        response_hook=_name_ids,
    )


def _name_ids(span: Span | None, _status: str, _headers: Any) -> None:
    if span is None or not span.is_recording():
        return
    span.set_attribute("headroom.request_id", g.get("request_id", ""))
    if (caller := g.get("caller")) is not None:
        span.set_attribute("headroom.tenant_id", caller.tenant_id)
