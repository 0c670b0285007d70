"""Tracing as the code sees it: spans that cost nothing until somebody wants them. OpenTelemetry stands behind one door.

The door is opened by name (`importlib`), because a process without OTEL_EXPORTER_OTLP_ENDPOINT must not even load it.
"""

import importlib
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self, cast

from service.settings import Settings

Attribute = str | int | bool | None
_OPEN_TELEMETRY = "service.tracing_otel"


class Span(Protocol):
    """Something that takes time, and what is known of it: ids, kinds, numbers; never a customer's words."""

    def set(self, **attributes: Attribute) -> None:
        """Add what became known; None is left out."""
        ...

    def fail(self, code: str) -> None:
        """It ended without what was wanted; the code is one of ours."""
        ...


class Tracing(Protocol):
    """What use cases, runtime and roots need of a tracer."""

    @property
    def provider(self) -> Any:
        """What instrumentation of libraries is given; None where nothing is traced."""
        ...

    def span(
        self, name: str, *, parent: str | None = None, began_ns: int | None = None, **attributes: Attribute
    ) -> AbstractContextManager[Span]:
        """A span around a block, below the W3C traceparent `parent` if there is one, else below the current span."""
        ...

    def traceparent(self) -> str | None:
        """The current span in the words of W3C, for whoever goes on with the work; None where nothing is traced."""
        ...

    def trace_id(self) -> str | None:
        """The current trace, for log lines; None where nothing is traced."""
        ...

    def watch_engine(self, engine: Any) -> None:
        """Spans for the statements of an engine."""
        ...

    def stop(self) -> None:
        """Hand out what is left, within moments; a collector that is away holds nothing up."""
        ...


class _NoSpan:
    """Takes everything and keeps nothing; one for all, so that it may be entered again and again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Whatever was raised goes on."""

    def set(self, **attributes: Attribute) -> None:
        """Nothing."""

    def fail(self, code: str) -> None:
        """Nothing."""


_NO_SPAN = _NoSpan()


class NoTracing:
    """Nothing is traced."""

    provider: Any = None

    def span(self, *_: Any, **__: Any) -> _NoSpan:
        """The same nothing every time."""
        return _NO_SPAN

    def traceparent(self) -> None:
        """Nobody's."""

    def trace_id(self) -> None:
        """None."""

    def watch_engine(self, engine: Any) -> None:
        """Leaves the engine as it is."""

    def stop(self) -> None:
        """Nothing is left."""


NO_TRACING = NoTracing()


def make_tracing(settings: Settings, *, role: str) -> Tracing:
    """The tracing that the settings ask for. To be called after the last fork: it starts a thread."""
    if not settings.otlp_endpoint:
        return NO_TRACING
    made = importlib.import_module(_OPEN_TELEMETRY).start(
        f"headroom-{role}", endpoint=settings.otlp_endpoint, headers=settings.otlp_headers
    )
    return cast("Tracing", made)


def now_ns() -> int:
    """The time as spans count it [ns], for a span that begins before its parent is known."""
    return time.time_ns()


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace that a W3C traceparent names."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None
