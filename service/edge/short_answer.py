"""An answer of the short way: what is sent, and what the log and the counters are told of it."""

import time
from http import HTTPStatus
from typing import NamedTuple

from flask import Flask

from service.access import Caller, Permission
from service.edge.allowance import Standing
from service.edge.answering import Environ
from service.edge.authentication import CALLER, recent_caller
from service.edge.context import runtime_of
from service.edge.limits import rate_headers
from service.edge.requests import DEFAULT_HEADERS, REQUEST_ID_HEADER
from service.logs.quick import QuickLog

# The lines of both ways are looked for under the name of the short one.
log = QuickLog("service.edge.express")

_SECURITY = tuple(pair for pair in DEFAULT_HEADERS if pair[0] != "Cache-Control")
NOT_KEPT = tuple(pair for pair in DEFAULT_HEADERS if pair[0] == "Cache-Control")

Headers = tuple[tuple[str, str], ...]


class Asked(NamedTuple):
    """A request of the short way: since when it is here, what it is called, who sent it and what that leaves them."""

    since_s: float
    request_id: str
    caller: Caller
    standing: Standing


class ShortAnswer(NamedTuple):
    """An answer about one run."""

    asked: Asked
    route: str
    method: str
    path: str
    run_id: str
    status: HTTPStatus
    own_headers: Headers
    chunks: tuple[bytes, ...]

    def headers(self) -> list[tuple[str, str]]:
        """All of them, in the order of the long way."""
        asked = self.asked
        return [*self.own_headers, (REQUEST_ID_HEADER, asked.request_id), *_SECURITY, *rate_headers(asked.standing)]


def caller_with(app: Flask, environ: Environ, permission: Permission) -> Caller | None:
    """Whose key was checked a moment ago and may do this."""
    if CALLER not in environ:
        environ[CALLER] = recent_caller(app, environ.get("HTTP_AUTHORIZATION", ""))
    caller: Caller | None = environ[CALLER]
    return caller if caller is not None and caller.may(permission) else None


def tell(app: Flask, answer: ShortAnswer) -> None:
    """Count it and write its line."""
    asked = answer.asked
    duration_s = time.perf_counter() - asked.since_s
    runtime_of(app).metrics.answered(route=answer.route, method=answer.method, status=answer.status, seconds=duration_s)
    log.info(
        "request",
        method=answer.method,
        route=answer.route,
        path=answer.path,
        status=answer.status.value,
        bytes=sum(map(len, answer.chunks)),
        duration_ms=round(duration_s * 1e3, 2),
        run_id=answer.run_id,
        tenant_id=asked.caller.tenant_id,
        key_id=asked.caller.key_id,
        request_id=asked.request_id,
    )
