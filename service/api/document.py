"""/openapi.json: the description of this interface, generated from the schemas that validate."""

from typing import Any

from flask import Blueprint, Flask, Response, request

from service.edge.answers import MEDIA_TYPE
from service.edge.authentication import open_to_all
from service.edge.conditional import tagged
from service.edge.document import DocumentedApi
from service.schemas.digest import sha256_digest


def add_document(app: Flask, api: DocumentedApi) -> None:
    """Serve the document of everything that is registered by now."""
    blueprint = Blueprint("document", __name__)
    open_to_all(blueprint)
    description = api.spec.to_dict()
    body, version = app.json.dumps(description), sha256_digest(description)

    def view() -> Any:
        headers = tagged(version, request.path)
        return Response(body, mimetype=MEDIA_TYPE, headers=headers)

    blueprint.add_url_rule("/openapi.json", "get_document", view, methods=["GET"])
    app.register_blueprint(blueprint)
