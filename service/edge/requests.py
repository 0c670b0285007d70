"""Around every request: its id, one log line, the headers of every answer, and whether the caller can read JSON."""

import logging
import re
import time
import uuid

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import NotAcceptable

from service.edge.answers import HTML_MEDIA_TYPE, MEDIA_TYPE, PROBLEM_MEDIA_TYPE
from service.edge.problems import PROBLEM_PATH

REQUEST_ID_HEADER = "X-Request-Id"
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_LONGEST_PATH = 200
_PROBES = frozenset({"/healthz", "/readyz"})

_log = structlog.get_logger(__name__)


def register_request_hooks(app: Flask) -> None:
    """Install the hooks; the id comes first, so that every later failure carries it."""
    app.before_request(_begin)
    app.before_request(_check_accept)
    app.after_request(_finish)


def _begin() -> None:
    given = request.headers.get(REQUEST_ID_HEADER, "")
    g.request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
    g.started = time.monotonic()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _check_accept() -> None:
    accepted = request.accept_mimetypes
    offered = [MEDIA_TYPE, PROBLEM_MEDIA_TYPE]
    if request.path.startswith(PROBLEM_PATH):
        # People follow the type of a problem with a browser.
        offered.append(HTML_MEDIA_TYPE)
    if accepted and not any(accepted.quality(media_type) for media_type in offered):
        raise NotAcceptable


def _finish(response: Response) -> Response:
    response.headers[REQUEST_ID_HEADER] = g.request_id
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    # Answers belong to one key; what may be kept says so itself.
    response.headers.setdefault("Cache-Control", "no-store")
    level = logging.DEBUG if request.path in _PROBES else logging.INFO
    _log.log(
        level,
        "request",
        method=request.method,
        path=request.path[:_LONGEST_PATH],
        status=response.status_code,
        duration_ms=round((time.monotonic() - g.started) * 1e3, 1),
    )
    return response
