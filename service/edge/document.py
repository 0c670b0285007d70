"""The OpenAPI 3.1 document, generated from the schemas that validate; errors are problem documents in it."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import flask
from apispec.ext.marshmallow import MarshmallowPlugin
from flask_smorest import Api, Blueprint
from werkzeug.exceptions import HTTPException

from service.edge.conventions import CONVENTIONS
from service.edge.examples import add_examples
from service.edge.links import add_links
from service.edge.parameters import describe_path_parameters
from service.edge.problems import of_http_exception
from service.edge.refusals import REQUEST_ID_DOC, refusal
from service.edge.shapes import add_conditions, of_more_than_one_shape, without_null_default
from service.schemas.problem import ProblemSchema

_CONFIG = {
    "API_TITLE": "Headroom",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.1",
    # The document has a route of its own, with an authentication hook like every other route.
    "OPENAPI_URL_PREFIX": None,
}
_KEY = {"type": "http", "scheme": "bearer", "description": "An API key of a tenant, made by its administrator."}
_OPTIONS: dict[str, Any] = {
    "info": {"summary": "AI infrastructure capacity planning.", "description": CONVENTIONS},
    "servers": [{"url": "/", "description": "The server that this document comes from."}],
    "components": {"securitySchemes": {"key": _KEY}},
}


class DocumentedApi(Api):  # type: ignore[misc]
    """flask-smorest, with problem documents in place of its own errors."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self) -> None:
        super().__init__()
        self._undescribed: list[Blueprint] = []

    def register_blueprint(self, blp: Blueprint) -> None:
        """Route to its resources; they are described when somebody asks for the document."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        self._app.register_blueprint(blp)
        self._undescribed.append(blp)

    def describe(self) -> dict[str, Any]:
        """What the schemas of everything say that is registered by now."""
        while self._undescribed:
            blp = self._undescribed.pop(0)
            blp.register_views_in_doc(self, self._app, self.spec, name=blp.name, parameters=None)
            self.spec.tag({"name": blp.name, "description": blp.description})
        described: dict[str, Any] = self.spec.to_dict()
        return described

    def handle_http_exception(self, error: HTTPException) -> flask.Response:
        """What flask-smorest would answer itself goes through the one table too."""
        return of_http_exception(error)

    def _register_pagination_header(self) -> None:
        """Pages are in the body here."""

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            described = refusal(status) if status >= HTTPStatus.BAD_REQUEST else _bodiless(status)
            self.spec.components.response(status.name, described, lazy=True)


def _bodiless(status: HTTPStatus) -> dict[str, Any]:
    return {"description": f"{status.phrase}.", "headers": REQUEST_ID_DOC}


def describe(api: DocumentedApi, *, examples: Path) -> dict[str, Any]:
    """The document of everything that is registered: what the schemas say, with words, links and examples."""
    document = api.describe()
    add_conditions(document, api.ma_plugin.converter)
    describe_path_parameters(document)
    add_links(document)
    add_examples(document, examples)
    return document


def make_api(app: flask.Flask) -> DocumentedApi:
    """The API of the application; resources register with it."""
    app.config.update(_CONFIG)
    plugin = MarshmallowPlugin()
    api = DocumentedApi()
    api.init_app(app, spec_kwargs={"marshmallow_plugin": plugin, **_OPTIONS})
    assert plugin.converter is not None
    for words in (of_more_than_one_shape, without_null_default):
        plugin.converter.add_attribute_function(words)  # type: ignore[no-untyped-call]
    return api
