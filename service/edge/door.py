"""The door: whoever has used up their calls is told so before anything else is looked at.

A flood has to be the cheapest thing that the service answers, or else the others wait behind it. So a call of a tenant
whose window is known to hold nothing more takes no place, is not routed, and its body is not read; and its line in the
log is one with all others of its second. What it is told is what the long way would have told it.
"""

import time
from http import HTTPStatus
from typing import NamedTuple

import orjson
from flask import Flask

from service.access import Caller
from service.edge.allowance import Standing
from service.edge.answering import Environ
from service.edge.answers import PROBLEM_MEDIA_TYPE
from service.edge.authentication import CALLER, recent_caller
from service.edge.context import runtime_of
from service.edge.limits import known_refusal, rate_headers
from service.edge.measuring import OTHER
from service.edge.problems import STATUS, Occasion, document
from service.edge.refused_calls import Refused, refused_calls_of
from service.edge.requests import DEFAULT_HEADERS, REQUEST_ID_HEADER, request_id_of
from service.errors import RateLimitedError

_STATUS, _TITLE = STATUS[RateLimitedError]
TURNED_AWAY = f"{_STATUS.value} {HTTPStatus(_STATUS).phrase.upper()}"
_API = "/v1/"
# The answer to other methods has no body, or says more.
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class TurnedAway(NamedTuple):
    """What somebody is told who is not let in."""

    headers: list[tuple[str, str]]
    body: bytes


class Door:
    """Knows who has called too often, and lets in everybody else."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def turned_away(self, environ: Environ) -> TurnedAway | None:
        """The answer to a call that is known to be one too many; None for others, and where that is not known."""
        began_s = time.perf_counter()
        method = environ["REQUEST_METHOD"]
        if method not in _METHODS or not environ["PATH_INFO"].startswith(_API):
            return None
        caller = environ[CALLER] = recent_caller(self._app, environ.get("HTTP_AUTHORIZATION", ""))
        known = None if caller is None else known_refusal(self._app, caller, method)
        if caller is None or known is None:
            return None
        request_id = request_id_of(environ)
        self._tell(caller, known[0], method, request_id=request_id, began_s=began_s)
        return _answer(*known, about=Occasion(path=_path_of(environ), request_id=request_id))

    def _tell(self, caller: Caller, standing: Standing, method: str, *, request_id: str, began_s: float) -> None:
        metrics = runtime_of(self._app).metrics
        metrics.rate_limited(standing.rate.name)
        metrics.refused(RateLimitedError.code)
        metrics.answered(route=OTHER, method=method, status=_STATUS, seconds=time.perf_counter() - began_s)
        refused = Refused(tenant_id=caller.tenant_id, key_id=caller.key_id, kind=standing.rate.name)
        refused_calls_of(self._app).add(refused, request_id)


def _answer(standing: Standing, error: RateLimitedError, *, about: Occasion) -> TurnedAway:
    body = orjson.dumps(document(_STATUS, error.code, title=_TITLE, detail=error.message, about=about))
    headers = [
        ("Content-Type", PROBLEM_MEDIA_TYPE),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(standing.reset_s)),
        *rate_headers(standing),
        (REQUEST_ID_HEADER, about.request_id),
        *DEFAULT_HEADERS,
    ]
    return TurnedAway(headers, body)


def _path_of(environ: Environ) -> str:
    """WSGI tells the bytes of a path as characters."""
    path: str = environ["PATH_INFO"]
    return path if path.isascii() else path.encode("latin-1").decode(errors="replace")
