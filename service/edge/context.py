"""What a request can reach: the runtime of the application, and the caller and id of the request."""

from typing import cast

from flask import Flask, current_app, g

from service.access import Caller
from service.runtime import Runtime

_EXTENSION = "headroom"


def attach(app: Flask, runtime: Runtime) -> None:
    """Give the application its runtime."""
    app.extensions[_EXTENSION] = runtime


def runtime() -> Runtime:
    """The runtime of the application that serves this request."""
    return runtime_of(current_app)


def runtime_of(app: Flask) -> Runtime:
    """The runtime of an application."""
    return cast("Runtime", app.extensions[_EXTENSION])


def caller() -> Caller:
    """Who is calling; set by the authentication hook of the blueprint."""
    return cast("Caller", g.caller)


def request_id() -> str:
    """The id of this request, in every answer and every log line."""
    return str(g.get("request_id", ""))
