"""/openapi.json: the description of this interface, generated from the schemas that validate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from flask import Flask, Response, current_app, request

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


def add_document(app: Flask, api: DocumentedApi, *, examples: Path) -> None:
    """Describe everything that is registered by now; `examples` is the folder of the bodies that the document shows."""
    description = describe(api, examples=examples)
    version = sha256_digest(description)
    app.extensions[_EXTENSION] = _Document(app.json.dumps(description), version)
    name_form(app, version)


@blueprint.route("/openapi.json", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, _SCHEMA, headers=ETAG_DOC)
@blueprint.described(operationId="getDocument")
def get_document() -> Any:
    """Read this document."""
    document = cast("_Document", current_app.extensions[_EXTENSION])
    headers = tagged(document.version, request.path)
    return Response(document.body, mimetype=MEDIA_TYPE, headers=headers)
