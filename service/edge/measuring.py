"""Every answer is counted and timed under the template of its route."""

import time

from flask import Flask, Response, g, request

from service.edge.context import runtime

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
# Whatever is not a route is one label: callers choose paths and methods. So is what is refused before its route is
# looked for.
OTHER = "other"


def measure_answers(app: Flask) -> None:
    """Install the hooks; to be called first, so that the others are timed too."""
    app.before_request(_start)
    app.after_request(_count)


def _start() -> None:
    g.measured_from_s = time.perf_counter()


def _count(response: Response) -> Response:
    rule = request.url_rule
    method = request.method
    runtime().metrics.answered(
        route=OTHER if rule is None else rule.rule,
        method=method if method in _METHODS else OTHER,
        status=response.status_code,
        seconds=time.perf_counter() - g.measured_from_s,
    )
    return response
