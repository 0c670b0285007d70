"""A small collector of OpenTelemetry: takes OTLP over HTTP on loopback, and keeps what it got."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A span and the process that sent it."""

    service: str
    span: Span

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def parent_id(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def attributes(self) -> dict[str, object]:
        values = ((attribute.key, attribute.value) for attribute in self.span.attributes)
        return {key: getattr(value, value.WhichOneof("value")) for key, value in values}


@dataclass(kw_only=True)
class Collector:
    """What came in, and whether more is wanted."""

    handler: type[BaseHTTPRequestHandler]
    port: int = 0
    server: ThreadingHTTPServer = field(init=False)
    thread: threading.Thread = field(init=False)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans(self, trace_id: str) -> list[Seen]:
        return [seen for seen in self.everything() if seen.trace_id == trace_id]

    def everything(self) -> Iterator[Seen]:
        for body in tuple(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield Seen(service=names["service.name"], span=span)

    def start(self) -> None:
        """Listen, at the first time on any port, afterwards on the same."""
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self) -> None:
        """The port refuses."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers.append(dict(self.headers))
            collector.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(HTTPStatus.OK)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not a word."""

    collector = Collector(handler=Handler)
    collector.start()
    yield collector
    collector.stop()
