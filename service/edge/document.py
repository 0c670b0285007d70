"""The OpenAPI 3.1 document, generated from the schemas that validate; errors are problem documents in it."""

from http import HTTPStatus
from typing import Any

import flask
from apispec.ext.marshmallow import MarshmallowPlugin
from flask_smorest import Api
from flask_smorest.utils import prepare_response
from marshmallow.fields import Field
from werkzeug.exceptions import HTTPException

from service.edge.answers import PROBLEM_MEDIA_TYPE
from service.edge.blueprint import REQUEST_ID_DOC
from service.edge.limits import RATE_HEADERS_DOC, RETRY_AFTER_DOC
from service.edge.problems import of_http_exception
from service.schemas.problem import ProblemSchema

_CONFIG = {
    "API_TITLE": "Headroom",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.1",
    # The document has a route of its own, with an authentication hook like every other route.
    "OPENAPI_URL_PREFIX": None,
}
_RETRIED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_OPTIONS: dict[str, Any] = {
    "info": {
        "description": "AI infrastructure capacity planning: a workload becomes sized servers, with intervals and "
        "receipts. Times are RFC 3339 UTC, money is decimal strings, units stand in the names."
    },
    "servers": [{"url": "/"}],
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}}},
}


class DocumentedApi(Api):  # type: ignore[misc]
    """flask-smorest, with problem documents in place of its own errors."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def handle_http_exception(self, error: HTTPException) -> flask.Response:
        """What flask-smorest would answer itself goes through the one table too."""
        return of_http_exception(error)

    def _register_pagination_header(self) -> None:
        """Pages are in the body here."""

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            response: dict[str, Any] = {"description": status.phrase}
            if status >= HTTPStatus.BAD_REQUEST:
                response["schema"] = self.ERROR_SCHEMA
                response["headers"] = REQUEST_ID_DOC | RATE_HEADERS_DOC
            if status in _RETRIED:
                response["headers"] |= RETRY_AFTER_DOC
            prepare_response(response, self.spec, PROBLEM_MEDIA_TYPE)
            self.spec.components.response(status.name, response, lazy=True)


def make_api(app: flask.Flask) -> DocumentedApi:
    """The API of the application; resources register with it."""
    app.config.update(_CONFIG)
    plugin = MarshmallowPlugin()
    api = DocumentedApi()
    api.init_app(app, spec_kwargs={"marshmallow_plugin": plugin, **_OPTIONS})
    assert plugin.converter is not None
    plugin.converter.add_attribute_function(union_properties)  # type: ignore[no-untyped-call]
    return api


def union_properties(self: Any, field: Field[Any], *, ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """JSON Schema of the fields that take more than one shape: each tells its shapes itself."""
    shapes = getattr(field, "shapes", None)
    if shapes is None:
        return {}
    ret.pop("type", None)
    described: dict[str, Any] = shapes(self.resolve_nested_schema)
    if field.allow_none:
        return {"anyOf": [described, {"type": "null"}]}
    return described
