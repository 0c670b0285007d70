"""Traces of requests, where they are wanted: the span around each, and its trace in every log line."""

import importlib

import structlog
from flask import Flask

from service.tracing import Tracing

_SPANS = "service.edge.spans"


def trace_requests(app: Flask, tracing: Tracing) -> None:
    """Put a span around every request; before all other hooks. Without a collector nothing is installed nor loaded."""
    if tracing.provider is not None:
        importlib.import_module(_SPANS).watch(app, tracing.provider)


def log_traces(app: Flask, tracing: Tracing) -> None:
    """Bind the trace to the log lines of a request; after the hook that forgets the request before."""

    def bind() -> None:
        if (trace_id := tracing.trace_id()) is not None:
            structlog.contextvars.bind_contextvars(trace_id=trace_id)

    if tracing.provider is not None:
        app.before_request(bind)
