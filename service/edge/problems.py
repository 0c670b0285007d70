"""One table from exceptions to problem documents (RFC 9457); nothing else decides what a failure looks like."""

import functools
import re
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

import structlog
from flask import Flask, Response, current_app, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from service.edge.answers import PROBLEM_MEDIA_TYPE
from service.edge.body import UnsupportedMediaTypeError
from service.edge.context import request_id, runtime
from service.edge.pages import as_page, wants_page
from service.errors import (
    BodyTooSlowError,
    ConflictError,
    DamagedError,
    FieldError,
    ForbiddenError,
    InvalidRequestError,
    KeyInProgressError,
    KeyReusedError,
    MalformedConditionError,
    MalformedKeyError,
    NotFoundError,
    PlannerError,
    PreconditionFailedError,
    PreconditionRequiredError,
    RateLimitedError,
    TenantDisabledError,
    UnauthenticatedError,
    UnavailableError,
    UnknownReferenceError,
    UnsupportedWorkloadError,
)
from service.schemas.json_text import MalformedBodyError

STATUS: dict[type[PlannerError], tuple[HTTPStatus, str]] = {
    MalformedBodyError: (HTTPStatus.BAD_REQUEST, "The body cannot be read"),
    MalformedConditionError: (HTTPStatus.BAD_REQUEST, "The condition of the request cannot be read"),
    MalformedKeyError: (HTTPStatus.BAD_REQUEST, "The idempotency key is malformed"),
    UnauthenticatedError: (HTTPStatus.UNAUTHORIZED, "No valid API key"),
    ForbiddenError: (HTTPStatus.FORBIDDEN, "The key's role does not allow this"),
    TenantDisabledError: (HTTPStatus.FORBIDDEN, "The tenant of the key is disabled"),
    NotFoundError: (HTTPStatus.NOT_FOUND, "Nothing is here"),
    ConflictError: (HTTPStatus.CONFLICT, "The object is in a state that forbids this"),
    BodyTooSlowError: (HTTPStatus.REQUEST_TIMEOUT, "The body came too slowly"),
    PreconditionFailedError: (HTTPStatus.PRECONDITION_FAILED, "The object was changed meanwhile"),
    PreconditionRequiredError: (HTTPStatus.PRECONDITION_REQUIRED, "The request must say which version it is for"),
    KeyInProgressError: (HTTPStatus.CONFLICT, "The first request with this idempotency key is still being answered"),
    UnsupportedMediaTypeError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body has the wrong media type"),
    InvalidRequestError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The request has a wrong field"),
    UnknownReferenceError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The request names something unknown"),
    UnsupportedWorkloadError: (HTTPStatus.UNPROCESSABLE_ENTITY, "This kind of workload is not sized"),
    RateLimitedError: (HTTPStatus.TOO_MANY_REQUESTS, "Too many calls"),
    KeyReusedError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The idempotency key stands for another request"),
    UnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, "A part of the service is down"),
    DamagedError: (HTTPStatus.INTERNAL_SERVER_ERROR, "What is stored is not what was written"),
}
"""Status and title per error; an error that is not in the table is ours and answers 500."""
_NO_PAGE = "There is no page at this address. It may be mistyped: every page can be reached from the first one."
_TITLES = {kind.code: title for kind, (_, title) in STATUS.items()}
_OF_HTTP: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", "The request cannot be read", "The request is malformed."),
    404: ("not_found", "Nothing is here", "There is no such path; the paths are listed in /openapi.json."),
    405: ("method_not_allowed", "The path has no such method", "Use one of the methods that Allow names."),
    406: ("not_acceptable", "No such representation", "Answers are application/json; accept that."),
    408: ("request_timeout", "The body came too slowly", "Send the request again."),
    413: ("body_too_large", "The body is too large", "The body is larger than this route takes."),
    415: ("unsupported_media_type", "The body has the wrong media type", "Send the body as application/json."),
    429: ("rate_limited", "Too many calls", "Ask again later."),
}
PROBLEM_PATH = "/problems/"
_INTERNAL = ("internal_error", "Something broke on our side", "The fault is logged under the request id.")
_DATABASE_DOWN = "The database does not answer; try again."
_RETRY_AFTER_S = 5
_LONGEST_INSTANCE = 500
_PLAIN_IN_PATHS = "/:@!$&'()*+,;="
_VARIABLE = re.compile(r"<[^<>]+>")
_CUT_ESCAPE = re.compile(r"%[0-9A-F]?$")

_log = structlog.get_logger(__name__)


def register_error_handlers(app: Flask) -> None:
    """Every exception that leaves a view becomes a problem document."""
    app.register_error_handler(PlannerError, _of_planner_error)
    app.register_error_handler(HTTPException, of_http_exception)
    for broken in (OperationalError, InterfaceError, PoolTimeoutError):
        app.register_error_handler(broken, _of_database_error)
    app.register_error_handler(Exception, _of_unexpected)


class Occasion(NamedTuple):
    """The request that a problem document is about."""

    path: str
    request_id: str


def document(
    status: int,
    code: str,
    *,
    title: str,
    detail: str,
    about: Occasion,
    errors: tuple[FieldError, ...] = (),
) -> dict[str, object]:
    """What a problem document says."""
    return {
        "type": f"{PROBLEM_PATH}{code.replace('_', '-')}",
        "title": title,
        "status": int(status),
        "detail": detail,
        "instance": _uri_of(about.path),
        "request_id": about.request_id,
        "errors": [error.told() for error in errors],
    }


def problem(
    status: int,
    code: str,
    *,
    title: str,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    retry_after_s: int | None = None,
) -> Response:
    """A problem document as an answer."""
    about = Occasion(path=request.path, request_id=request_id())
    body = document(status, code, title=title, detail=detail, about=about, errors=errors)
    runtime().metrics.refused(code)
    response = as_page(body)
    if response is None:
        response = current_app.response_class(current_app.json.dumps(body), status=status, mimetype=PROBLEM_MEDIA_TYPE)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="headroom"'
    return response


def _uri_of(path: str) -> str:
    """The path as a URI reference, cut short; whoever sent what no URI holds gets it back encoded."""
    return _CUT_ESCAPE.sub("", quote(path[:_LONGEST_INSTANCE], safe=_PLAIN_IN_PATHS)[:_LONGEST_INSTANCE])


def of_http_exception(error: HTTPException) -> Response:
    """What werkzeug, Flask and flask-smorest raise: unknown path, wrong method, body too large, not modified ..."""
    if isinstance(error.response, Response):
        return error.response
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status < HTTPStatus.BAD_REQUEST:
        return current_app.response_class(status=status)
    code, title, detail = _of_status(status)
    if status == HTTPStatus.NOT_FOUND and wants_page():
        detail = _NO_PAGE
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        detail = f"The body may have at most {request.max_content_length} bytes."
    response = problem(status, code, title=title, detail=detail)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(_methods_of(request.path)))
    return response


def _methods_of(path: str) -> set[str]:
    """The methods of the rules that are meant by a path: of two patterns that it fits, the one with more of its own."""
    fitting: dict[int, set[str]] = {}
    for rule in current_app.url_map.iter_rules():
        pattern, own = _pattern(rule.rule)
        if pattern.fullmatch(path):
            fitting.setdefault(own, set()).update(rule.methods or ())
    return fitting[max(fitting)] if fitting else set()


@functools.cache
def _pattern(rule: str) -> tuple[re.Pattern[str], int]:
    """A rule as a pattern, and how many characters of it are no variable."""
    parts = _VARIABLE.split(rule)
    return re.compile("[^/]+".join(map(re.escape, parts))), sum(map(len, parts))


def _of_status(status: int) -> tuple[str, str, str]:
    if status in _OF_HTTP:
        return _OF_HTTP[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _INTERNAL
    known = HTTPStatus(status)
    code = known.name.lower()
    # One type has one title, whoever raised it.
    return code, _TITLES.get(code, known.phrase), known.phrase


def problem_kinds() -> dict[str, tuple[int, str]]:
    """Status and title of every kind of problem that an answer can carry, by code."""
    kinds = {}
    for status in HTTPStatus:
        if status >= HTTPStatus.BAD_REQUEST:
            code, title, _ = _of_status(status)
            shown = min(int(status), int(HTTPStatus.INTERNAL_SERVER_ERROR))
            kinds[code] = (shown, title)
    return kinds | {kind.code: (int(status), title) for kind, (status, title) in STATUS.items()}


def _of_planner_error(error: PlannerError) -> Response:
    for kind in type(error).__mro__:
        if kind in STATUS:
            status, title = STATUS[kind]
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR and kind is not UnavailableError:
                _log.error(error.code)
            retry = error.detail.retry_after_s
            if retry is None and status == HTTPStatus.SERVICE_UNAVAILABLE:
                retry = _RETRY_AFTER_S
            errors = error.detail.errors
            return problem(status, error.code, title=title, detail=error.message, errors=errors, retry_after_s=retry)
    return _of_unexpected(error)


def _of_database_error(error: Exception) -> Response:
    _log.error("database_error", error=type(error).__name__)
    status, title = STATUS[UnavailableError]
    code = UnavailableError.code
    return problem(status, code, title=title, detail=_DATABASE_DOWN, retry_after_s=_RETRY_AFTER_S)


def _of_unexpected(error: Exception) -> Response:
    _log.error("unexpected_error", error=type(error).__name__, exc_info=error)
    code, title, detail = _INTERNAL
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, code, title=title, detail=detail)
