"""/openapi.json: the description of this interface, generated from the schemas that validate."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from flask import Flask, Response, current_app, request

from service.catalog.made import Keeper
from service.edge.answers import MEDIA_TYPE
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, name_form, tagged
from service.edge.document import DocumentedApi, describe
from service.schemas.digest import sha256_digest

_EXTENSION = "headroom-document"
_SCHEMA = {"type": "object", "description": "An OpenAPI 3.1 document.", "additionalProperties": True}

blueprint = ResourceBlueprint("document", __name__, permission=None, description="The description of this interface.")


@dataclass(frozen=True, slots=True)
class _Document:
    """The document as it is sent, and what its tag is made of."""

    body: str
    version: str


def add_document(app: Flask, api: DocumentedApi, *, config_dir: Path) -> None:
    """Describe all resources, which hang on the code alone, with the examples of the configuration.

    To describe them takes longer than to route to them, so that is kept for the next process.
    """
    document = Keeper(config_dir).kept("document", partial(_document, app, api, config_dir / "examples"))
    app.extensions[_EXTENSION] = document
    name_form(app, document.version)


def _document(app: Flask, api: DocumentedApi, examples: Path) -> _Document:
    description = describe(api, examples=examples)
    return _Document(app.json.dumps(description), sha256_digest(description))


@blueprint.route("/openapi.json", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, _SCHEMA, headers=ETAG_DOC)
@blueprint.described(operationId="getDocument")
def get_document() -> Any:
    """Read this document."""
    document = cast("_Document", current_app.extensions[_EXTENSION])
    headers = tagged(document.version, request.path)
    return Response(document.body, mimetype=MEDIA_TYPE, headers=headers)
