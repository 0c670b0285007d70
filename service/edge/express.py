"""The short way: what clients ask for most often is answered before Flask begins.

These are a finished run that was read before, and a workload whose question was answered before. Whatever is out of
the ordinary takes the long way: other paths, methods and headers, a key that was not checked a moment ago, a run or an
answer that is not kept, one call too many. Both ways give the same answer; tests hold them side by side.
"""

import io
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask
from werkzeug.http import parse_etags

from service.access import Caller, Permission
from service.edge.allowance import Standing
from service.edge.answers import MEDIA_TYPE
from service.edge.authentication import recent_caller
from service.edge.conditional import REVALIDATE, entity_tag
from service.edge.context import runtime_of
from service.edge.limits import SPENT, rate_headers, spend_read, spend_write
from service.edge.places import Places
from service.edge.requests import (
    DEFAULT_HEADERS,
    EVERYBODY_ACCEPTS,
    FAILED_BEFORE,
    REQUEST_ID_HEADER,
    request_id_of,
)
from service.errors import PlannerError
from service.logs.quick import QuickLog
from service.planning.reading import RunAnswer, kept_run, run_answer
from service.planning.submit import submit_known
from service.planning.view import RunView
from service.schemas.json_text import parse_json
from service.schemas.workload import request_in_known_words

log = QuickLog(__name__)

_RUN_ROUTE = "/v1/runs/<run_id>"
_RUN_PATH = re.compile(r"/v1/runs/(run_[0-9a-f]{32})", re.ASCII)
_POST_ROUTE = "/v1/workloads"
# What changes the meaning of a POST is for Flask.
_UNUSUAL = ("HTTP_IDEMPOTENCY_KEY", "HTTP_PREFER", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING")
_LINES = {status: f"{status.value} {status.phrase.upper()}" for status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)}
_SECURITY = tuple(pair for pair in DEFAULT_HEADERS if pair[0] != "Cache-Control")
_NOT_KEPT = tuple(pair for pair in DEFAULT_HEADERS if pair[0] == "Cache-Control")

Environ = dict[str, Any]
Headers = tuple[tuple[str, str], ...]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """An answer, and what the log and the counters are told of it."""

    route: str
    method: str
    path: str
    run_id: str
    caller: Caller
    standing: Standing
    status: HTTPStatus
    headers: Headers
    chunks: tuple[bytes, ...]


class ExpressLane:
    """The WSGI application in front of Flask's."""

    def __init__(self, app: Flask, long_way: Wsgi, places: Places) -> None:
        self._app = app
        self._long_way = long_way
        self._places = places
        self._body_limit = int(app.config["MAX_CONTENT_LENGTH"])

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer at once, or let Flask answer."""
        started = time.perf_counter()
        answer, request_id = None, ""
        if not environ.get("QUERY_STRING") and environ.get("HTTP_ACCEPT", "") in EVERYBODY_ACCEPTS:
            request_id = request_id_of(environ)
            # Either way the request has one id.
            environ["HTTP_X_REQUEST_ID"] = request_id
            if environ["REQUEST_METHOD"] == "GET":
                answer = self._reading(environ, started, request_id)
            elif environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == _POST_ROUTE:
                answer = self._posting(environ, started, request_id)
        if answer is None:
            return self._long_way(environ, start_response)
        headers = [*answer.headers, (REQUEST_ID_HEADER, request_id), *_SECURITY, *rate_headers(answer.standing)]
        start_response(_LINES[answer.status], headers)
        return list(answer.chunks)

    def _reading(self, environ: Environ, started: float, request_id: str) -> _Answer | None:
        path = _RUN_PATH.fullmatch(environ["PATH_INFO"])
        caller = None if path is None else self._caller(environ, Permission.RUNS)
        if path is None or caller is None:
            return None
        run = kept_run(runtime_of(self._app), caller, path[1])
        standing = None if run is None else spend_read(self._app, caller)
        if run is None or standing is None or not standing.allowed:
            return None
        status, headers, chunks = _read(environ, run, tag=entity_tag(run.summary, app=self._app))
        answer = _Answer(
            route=_RUN_ROUTE,
            method="GET",
            path=path[0],
            run_id=path[1],
            caller=caller,
            standing=standing,
            status=status,
            headers=headers,
            chunks=chunks,
        )
        self._tell(answer, started, request_id)
        return answer

    def _posting(self, environ: Environ, started: float, request_id: str) -> _Answer | None:
        caller = self._caller(environ, Permission.WORKLOADS)
        if caller is None or any(name in environ for name in _UNUSUAL):
            return None
        runtime = runtime_of(self._app)
        with runtime.gathering.coming():
            request = self._known_request(environ)
            standing = None if request is None else spend_write(self._app, caller)
            if request is None or standing is None or not standing.allowed:
                return None
            environ[SPENT] = standing

            def then(run: RunView) -> _Answer:
                answer = self._posted(caller, standing, run)
                self._tell(answer, started, request_id)
                return answer

            try:
                with self._places.taken():
                    return submit_known(runtime, caller, request, request_id=request_id, then=then)
            except PlannerError as error:
                # It may have been written, so it is not tried again: Flask says what happened.
                environ[FAILED_BEFORE] = error
                return None

    def _posted(self, caller: Caller, standing: Standing, run: RunView) -> _Answer:
        chunks = run_answer(runtime_of(self._app), run).chunks
        place = f"/v1/runs/{run.id}"
        headers = (("Location", place), *_content(chunks), *_NOT_KEPT)
        return _Answer(
            route=_POST_ROUTE,
            method="POST",
            path=_POST_ROUTE,
            run_id=run.id,
            caller=caller,
            standing=standing,
            status=HTTPStatus.OK,
            headers=headers,
            chunks=chunks,
        )

    def _caller(self, environ: Environ, permission: Permission) -> Caller | None:
        caller = recent_caller(self._app, environ.get("HTTP_AUTHORIZATION", ""))
        return caller if caller is not None and caller.may(permission) else None

    def _known_request(self, environ: Environ) -> Any:
        """The request in the body, where its question was valid in these words before; the body can be read again."""
        length = environ.get("CONTENT_LENGTH", "")
        if environ.get("CONTENT_TYPE") != MEDIA_TYPE or not length.isdigit() or not 0 < int(length) < self._body_limit:
            return None
        try:
            body = environ["wsgi.input"].read(int(length))
        except PlannerError as error:
            environ[FAILED_BEFORE] = error
            return None
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            return request_in_known_words(parse_json(body))
        except PlannerError:
            return None

    def _tell(self, answer: _Answer, started: float, request_id: str) -> None:
        duration_s = time.perf_counter() - started
        runtime_of(self._app).metrics.answered(
            route=answer.route, method=answer.method, status=answer.status, seconds=duration_s
        )
        log.info(
            "request",
            method=answer.method,
            route=answer.route,
            path=answer.path,
            status=answer.status.value,
            bytes=_length(answer.chunks),
            duration_ms=round(duration_s * 1e3, 2),
            run_id=answer.run_id,
            tenant_id=answer.caller.tenant_id,
            key_id=answer.caller.key_id,
            request_id=request_id,
        )


def with_express_lane(app: Flask, long_way: Wsgi, places: Places) -> Wsgi:
    """The short way in front of the long one, unless requests are traced: spans are made by the long way."""
    return ExpressLane(app, long_way, places) if runtime_of(app).tracing.provider is None else long_way


def _read(environ: Environ, run: RunAnswer, *, tag: str) -> tuple[HTTPStatus, Headers, tuple[bytes, ...]]:
    headers = (("ETag", f'"{tag}"'), ("Cache-Control", REVALIDATE))
    if "HTTP_IF_NONE_MATCH" in environ and parse_etags(environ["HTTP_IF_NONE_MATCH"]).contains_weak(tag):
        return HTTPStatus.NOT_MODIFIED, headers, ()
    chunks = run.chunks
    return HTTPStatus.OK, (*_content(chunks), *headers), chunks


def _content(chunks: tuple[bytes, ...]) -> Headers:
    return ("Content-Type", MEDIA_TYPE), ("Content-Length", str(_length(chunks)))


def _length(chunks: tuple[bytes, ...]) -> int:
    return sum(map(len, chunks))
