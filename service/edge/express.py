"""The short way: what clients ask for most often is answered before Flask begins.

These are a finished run that was read before, and a workload whose question was answered before. Whatever is out of
the ordinary takes the long way: other paths, methods and headers, a key that was not checked a moment ago, a run or an
answer that is not kept, one call too many. Both ways give the same answer; tests hold them side by side.
"""

import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask
from werkzeug.http import parse_etags

from service.access import Permission
from service.edge.answering import Environ, Wsgi
from service.edge.conditional import REVALIDATE, entity_tag, quoted
from service.edge.context import runtime_of
from service.edge.encoding import VARY
from service.edge.express_post import POST_ROUTE, ExpressPost
from service.edge.limits import spend_read
from service.edge.requests import EVERYBODY_ACCEPTS, request_id_of
from service.edge.run_content import content, is_sent_by_gzip
from service.edge.short_answer import Asked, Headers, ShortAnswer, caller_with, tell
from service.planning.reading import RunAnswer, kept_run

_RUN_ROUTE = "/v1/runs/<run_id>"
_RUN_PATH = re.compile(r"/v1/runs/(run_[0-9a-f]{32})", re.ASCII)
_LINES = {status: f"{status.value} {status.phrase.upper()}" for status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)}


class ExpressLane:
    """The WSGI application in front of Flask's."""

    def __init__(self, app: Flask, long_way: Wsgi) -> None:
        self._app = app
        self._long_way = long_way
        self._post = ExpressPost(app, long_way)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer at once, let whoever writes the workload answer, or let Flask answer."""
        started = time.perf_counter()
        answer: ShortAnswer | list[bytes] | None = None
        if not environ.get("QUERY_STRING") and environ.get("HTTP_ACCEPT", "") in EVERYBODY_ACCEPTS:
            request_id = request_id_of(environ)
            # Either way the request has one id.
            environ["HTTP_X_REQUEST_ID"] = request_id
            if environ["REQUEST_METHOD"] == "GET":
                answer = self._reading(environ, started, request_id)
            elif environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == POST_ROUTE:
                answer = self._post.posted(environ, started, request_id)
        if answer is None:
            return self._long_way(environ, start_response)
        if isinstance(answer, list):
            return answer
        start_response(_LINES[answer.status], answer.headers())
        return list(answer.chunks)

    def _reading(self, environ: Environ, started: float, request_id: str) -> ShortAnswer | None:
        path = _RUN_PATH.fullmatch(environ["PATH_INFO"])
        caller = None if path is None else caller_with(self._app, environ, Permission.RUNS)
        if path is None or caller is None:
            return None
        run = kept_run(runtime_of(self._app), caller, path[1])
        standing = None if run is None else spend_read(self._app, caller)
        if run is None or standing is None or not standing.allowed:
            return None
        status, headers, chunks = self._read(environ, run)
        answer = ShortAnswer(
            asked=Asked(since_s=started, request_id=request_id, caller=caller, standing=standing),
            route=_RUN_ROUTE,
            method="GET",
            path=path[0],
            run_id=path[1],
            status=status,
            own_headers=headers,
            chunks=chunks,
        )
        tell(self._app, answer)
        return answer

    def _read(self, environ: Environ, run: RunAnswer) -> tuple[HTTPStatus, Headers, tuple[bytes, ...]]:
        tag = entity_tag(run.summary, app=self._app)
        by_gzip = is_sent_by_gzip(run, environ)
        headers = (("ETag", quoted(tag, weak=by_gzip)), ("Cache-Control", REVALIDATE), VARY)
        if "HTTP_IF_NONE_MATCH" in environ and parse_etags(environ["HTTP_IF_NONE_MATCH"]).contains_weak(tag):
            return HTTPStatus.NOT_MODIFIED, headers, ()
        chunks, own_headers = content(runtime_of(self._app), run, by_gzip=by_gzip)
        return HTTPStatus.OK, (*own_headers, *headers), chunks


def with_express_lane(app: Flask, long_way: Wsgi) -> Wsgi:
    """The short way in front of the long one, unless requests are traced: spans are made by the long way."""
    return ExpressLane(app, long_way) if runtime_of(app).tracing.provider is None else long_way
