"""Around every request: its id, one log line, the headers of every answer, and whether the caller can read JSON."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import structlog
from flask import Flask, Request, Response, g, request
from structlog.typing import FilteringBoundLogger
from werkzeug.exceptions import NotAcceptable

from service.chance import chance
from service.edge.answers import HTML_MEDIA_TYPE, MEDIA_TYPE, PROBLEM_MEDIA_TYPE
from service.edge.authentication import spend_without_route
from service.edge.pages import wants_page
from service.edge.problems import PROBLEM_PATH
from service.edge.tracing import log_traces
from service.logs.line import without_secrets
from service.schemas.uploaded import CSV, NDJSON
from service.store.scope import act_for, acts_for, for_these
from service.tracing import Tracing

# Where the short way leaves an error for Flask to tell.
FAILED_BEFORE = "headroom.failed_before"
_ID_BYTES = 16
REQUEST_ID_HEADER = "X-Request-Id"
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
DEFAULT_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # Answers belong to one key; what may be kept says so itself.
    ("Cache-Control", "no-store"),
)
# Looked at for every answer, so not made into small letters each time.
_DEFAULTS = tuple((name.lower(), name, value) for name, value in DEFAULT_HEADERS)
_LONGEST_PATH = 200
_LONGEST_METHOD = 20
_RUNS = "/v1/runs/"
_BATCHES = "/v1/batches/"
_OCCURRENCES = "/v1/occurrences/"
_SCHEDULES = "/v1/schedules/"
_RESULTS = re.compile(rf"(?:{_BATCHES}|{_OCCURRENCES})[^/]+/results", re.ASCII)
_MADE = ((_RUNS, "run_id"), (_BATCHES, "batch_id"), (_OCCURRENCES, "occurrence_id"), (_SCHEDULES, "schedule_id"))
_KEY_SCHEME = "hr_"
_IDS_IN_PATHS = (
    ("batch_id", re.compile(r"bat_[0-9a-f]{1,32}", re.ASCII)),
    ("run_id", re.compile(r"run_[0-9a-f]{1,32}", re.ASCII)),
    ("workload_id", re.compile(r"wkl_[0-9a-f]{1,32}", re.ASCII)),
    ("quote_id", re.compile(r"quo_[0-9a-f]{1,32}", re.ASCII)),
    ("price_book_id", re.compile(r"pbk_[0-9a-f]{1,32}", re.ASCII)),
    ("schedule_id", re.compile(r"sch_[0-9a-f]{1,32}", re.ASCII)),
    ("occurrence_id", re.compile(r"occ_[0-9a-f]{1,32}", re.ASCII)),
)
# Not worth parsing.
EVERYBODY_ACCEPTS = frozenset({"", "*/*", MEDIA_TYPE})
_METRICS_PATH = "/metrics"
# What reads these asks for the formats of its own trade, and takes the one there is.
_NOT_JSON = (_METRICS_PATH, "/docs")
PROBES = frozenset({"/healthz", "/readyz", _METRICS_PATH})


def register_request_hooks(app: Flask, tracing: Tracing) -> None:
    """Install the hooks; the id comes first, so that every later failure carries it."""
    app.before_request(_begin)
    log_traces(app, tracing)
    app.before_request(_refuse_early)
    app.after_request(_finish(structlog.get_logger(__name__).bind()))
    app.teardown_request(_forget)


def _begin() -> None:
    g.started = time.perf_counter()
    g.request_id = request_id_of(request.environ)
    structlog.contextvars.clear_contextvars()
    act_for(None)
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def request_id_of(environ: Mapping[str, Any]) -> str:
    """The id that the caller gives the request, where it is a sane one; else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID")
    # It is told in lines, in the audit and to whoever asks: no place for a key.
    if given and _SANE_ID.fullmatch(given) and _KEY_SCHEME not in given:
        return str(given)
    return chance(_ID_BYTES).hex()


def _forget(_error: BaseException | None) -> None:
    """The thread serves somebody else next."""
    structlog.contextvars.clear_contextvars()
    act_for(None)


def _refuse_early() -> None:
    """What no route will answer: its failure is known, nothing is there, or nothing that the caller can read."""
    if FAILED_BEFORE in request.environ:
        # Counted as any other call, where it is not yet, and told how it stands.
        spend_without_route()
        raise request.environ[FAILED_BEFORE]
    readable = _can_read()
    if not readable or request.routing_exception is not None:
        # A route would have counted the call.
        spend_without_route()
    if not readable:
        raise NotAcceptable


def _can_read() -> bool:
    """Whether the caller accepts what the path has to offer."""
    if request.environ.get("HTTP_ACCEPT", "*/*") in EVERYBODY_ACCEPTS:
        return True
    if request.path.startswith(_NOT_JSON) or wants_page():
        return True
    accepted = request.accept_mimetypes
    offered = [MEDIA_TYPE, PROBLEM_MEDIA_TYPE]
    if request.path.startswith(PROBLEM_PATH):
        # People follow the type of a problem with a browser.
        offered.append(HTML_MEDIA_TYPE)
    if _RESULTS.fullmatch(request.path):
        offered += [NDJSON, CSV]
    return not accepted or any(accepted.quality(media_type) for media_type in offered)


def _finish(log: FilteringBoundLogger) -> Callable[[Response], Response]:
    """The last hook; its logger is bound once, because it writes a line for every request."""

    def finish(response: Response) -> Response:
        headers = response.headers
        there = {name.lower() for name, _ in headers}
        headers.add(REQUEST_ID_HEADER, g.request_id)
        for low, name, value in _DEFAULTS:
            if low not in there:
                headers.add(name, value)
        tenants = acts_for()
        if tenants is not None and response.is_streamed:
            response.response = _made_for(tenants, response.response)
        # The request behind the proxy, which would be looked up anew for every word about it.
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        path = asked.path
        write = log.debug if path in PROBES else log.info
        write(
            "request",
            method=asked.method[:_LONGEST_METHOD],
            route=None if (rule := asked.url_rule) is None else rule.rule,
            path=_shown(path),
            status=response.status_code,
            bytes=response.content_length,
            duration_ms=round((time.perf_counter() - g.started) * 1e3, 2),
            **_named(asked.view_args, headers["Location"] if "location" in there else ""),
        )
        return response

    return finish


def _made_for(tenants: Iterable[str], pieces: Iterable[Any]) -> Iterator[Any]:
    """Pieces that are made while they are sent, after `_forget`: each for the tenants that the thread acted for."""
    left = iter(pieces)
    while True:
        with for_these(tenants):
            piece = next(left, None)
        if piece is None:
            return
        yield piece


def _shown(path: str) -> str:
    """The path as far as a log may tell it: somebody may have put a key there."""
    return without_secrets(path[:_LONGEST_PATH]) if _KEY_SCHEME in path else path[:_LONGEST_PATH]


def _named(view_args: dict[str, Any] | None, location: str) -> dict[str, str]:
    """What the request was about, so that a search for an id finds it: named by the path, or made."""
    for place, name in _MADE:
        if location.startswith(place):
            return {name: location.removeprefix(place)}
    if not view_args:
        return {}
    # Whoever puts a key or a name where an id belongs finds it in no line.
    return {name: view_args[name] for name, form in _IDS_IN_PATHS if form.fullmatch(view_args.get(name, ""))}
