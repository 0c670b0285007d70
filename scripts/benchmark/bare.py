"""The limits that the API is measured beside: handlers that do nothing, served like the product."""

import functools
from typing import Any

import orjson
from flask import Flask, Response, request
from flask.json.provider import JSONProvider
from werkzeug.wrappers import Response as WerkzeugResponse

from config.environment import settings_from_environment
from service.cores import keep_to

WSGI_BODY = orjson.dumps({"status": "alive"})


class _Orjson(JSONProvider):
    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)


@functools.cache
def _bytes(count: int) -> bytes:
    return b'"' + b"x" * max(0, count - 2) + b'"'


def served_flask() -> Flask:
    """Flask's, in a process of the server that keeps to the same cores as the product's."""
    keep_to(settings_from_environment().web_cores)
    return flask_app()


def served_wsgi() -> Any:
    """The same without any framework."""
    keep_to(settings_from_environment().web_cores)
    return wsgi_app()


def flask_app() -> Flask:
    """Flask and orjson, and nothing else: a tiny JSON answer, and one of as many bytes as asked for, to JSON too."""
    app = Flask(__name__, static_folder=None)
    app.json = _Orjson(app)

    @app.get("/json")
    def tiny() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/bytes/<int:count>")
    def large(count: int) -> WerkzeugResponse:
        return Response(_bytes(count), mimetype="application/json")

    @app.post("/bytes/<int:count>")
    def posted(count: int) -> WerkzeugResponse:
        request.get_json()
        return Response(_bytes(count), mimetype="application/json")

    return app


def wsgi_app() -> Any:
    """What the server costs without any framework."""

    def answer(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(WSGI_BODY)))])
        return [WSGI_BODY]

    return answer
