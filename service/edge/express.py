"""The short way to a finished run: what clients ask for most often is answered before Flask begins.

Whatever is out of the ordinary takes the long way: another path or method, a key that was not checked a moment ago, a
run that is not kept, one call too many. Both ways give the same answer; a test holds them side by side.
"""

import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

import structlog
from flask import Flask
from werkzeug.http import parse_etags

from service.access import Caller, Permission
from service.edge.answers import MEDIA_TYPE
from service.edge.authentication import recent_caller
from service.edge.conditional import REVALIDATE, entity_tag
from service.edge.context import runtime_of
from service.edge.limits import rate_headers, spend_read
from service.edge.requests import DEFAULT_HEADERS, EVERYBODY_ACCEPTS, REQUEST_ID_HEADER, request_id_of
from service.planning.reading import RunAnswer, kept_run

_ROUTE = "/v1/runs/<run_id>"
_PATH = re.compile(r"/v1/runs/(run_[0-9a-f]{32})", re.ASCII)
_LINES = {status: f"{status.value} {status.phrase.upper()}" for status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)}
# The answer says itself how long it may be kept.
_HEADERS = tuple(pair for pair in DEFAULT_HEADERS if pair[0] != "Cache-Control")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


class ExpressLane:
    """The WSGI application in front of Flask's."""

    def __init__(self, app: Flask, long_way: Wsgi) -> None:
        self._app = app
        self._long_way = long_way
        self._log = structlog.get_logger(__name__).bind()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer at once, or let Flask answer."""
        started = time.perf_counter()
        found = self._found(environ)
        if found is None:
            return self._long_way(environ, start_response)
        caller, run_id, run = found
        standing = spend_read(self._app, caller.tenant_id)
        if not standing.allowed:
            return self._long_way(environ, start_response)
        status, headers, body = _answered(environ, run)
        request_id = request_id_of(environ)
        headers += [(REQUEST_ID_HEADER, request_id), *_HEADERS, *rate_headers(standing)]
        self._tell(started, status, caller=caller, run_id=run_id, request_id=request_id, body=body)
        start_response(_LINES[status], headers)
        return [body]

    def _found(self, environ: Environ) -> tuple[Caller, str, RunAnswer] | None:
        if environ["REQUEST_METHOD"] != "GET" or environ.get("QUERY_STRING"):
            return None
        path = _PATH.fullmatch(environ["PATH_INFO"])
        if path is None or environ.get("HTTP_ACCEPT", "") not in EVERYBODY_ACCEPTS:
            return None
        caller = recent_caller(self._app, environ.get("HTTP_AUTHORIZATION", ""))
        if caller is None or not caller.may(Permission.RUNS):
            return None
        run = kept_run(runtime_of(self._app), caller, path[1])
        return None if run is None else (caller, path[1], run)

    def _tell(
        self, started: float, status: HTTPStatus, *, caller: Caller, run_id: str, request_id: str, body: bytes
    ) -> None:
        duration_s = time.perf_counter() - started
        runtime_of(self._app).metrics.answered(route=_ROUTE, method="GET", status=status, seconds=duration_s)
        self._log.info(
            "request",
            method="GET",
            route=_ROUTE,
            path=f"/v1/runs/{run_id}",
            status=status.value,
            bytes=len(body),
            duration_ms=round(duration_s * 1e3, 2),
            run_id=run_id,
            tenant_id=caller.tenant_id,
            key_id=caller.key_id,
            request_id=request_id,
        )


def take_express_lane(app: Flask) -> None:
    """Put the short way in front of the application, unless requests are traced: spans are made by the long way."""
    if runtime_of(app).tracing.provider is None:
        app.wsgi_app = ExpressLane(app, cast("Wsgi", app.wsgi_app))  # type: ignore[method-assign]


def _answered(environ: Environ, run: RunAnswer) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
    tag = entity_tag(run.summary)
    headers = [("ETag", f'"{tag}"'), ("Cache-Control", REVALIDATE)]
    if "HTTP_IF_NONE_MATCH" in environ and parse_etags(environ["HTTP_IF_NONE_MATCH"]).contains_weak(tag):
        return HTTPStatus.NOT_MODIFIED, headers, b""
    body = run.body
    return HTTPStatus.OK, [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body))), *headers], body
