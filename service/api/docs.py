"""/docs: the description of this interface as a page, from files of ours and of the installed Swagger UI alone."""

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from flask import Response

from service.edge.answers import HTML_MEDIA_TYPE
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.errors import NotFoundError
from service.schemas.strict import StrictSchema, Text

blueprint = ResourceBlueprint("docs", __name__, permission=None, description="The description of this interface.")

_CSS, _JAVASCRIPT, _PNG = "text/css", "text/javascript", "image/png"
_OURS = Path(__file__).resolve().parent / "browsing"
_SWAGGER_UI = ("flask_swagger_ui", "dist")
# Nothing else of the wheel is served.
_OF_SWAGGER_UI = {
    "index.css": _CSS,
    "swagger-ui.css": _CSS,
    "swagger-ui-bundle.js": _JAVASCRIPT,
    "favicon-32x32.png": _PNG,
}
_ASSETS = {"start.js": _JAVASCRIPT, **_OF_SWAGGER_UI}
# No other host, no script in the page: Swagger UI draws with style properties, and its icons are data in its CSS.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The page names each asset with its version, so another version has another address.
_FOR_GOOD = "public, max-age=31536000, immutable"
_REVALIDATED = "public, no-cache"
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headroom API</title>
<link rel="icon" type="image/png" href="{favicon-32x32.png}">
<link rel="stylesheet" href="{index.css}">
<link rel="stylesheet" href="{swagger-ui.css}">
<script src="{swagger-ui-bundle.js}" defer></script>
<script src="{start.js}" defer></script>
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the description itself is at <a href="openapi.json">openapi.json</a>.</noscript>
</body>
</html>
"""
_TEXT = {"type": "string"}
_IMAGE = {**_TEXT, "contentMediaType": _PNG}


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file as it is sent, and its version."""

    body: bytes
    media_type: str
    version: str


@functools.cache
def _asset(name: str) -> _Asset:
    if name in _OF_SWAGGER_UI:
        body = resources.files(_SWAGGER_UI[0]).joinpath(_SWAGGER_UI[1], name).read_bytes()
    else:
        body = (_OURS / name).read_bytes()
    return _Asset(body, _ASSETS[name], hashlib.sha256(body).hexdigest()[:16])


@functools.cache
def _page() -> str:
    """Addresses are relative to the page, so that a proxy may put all of it under a prefix."""
    page = _PAGE
    for name in _ASSETS:
        page = page.replace(f"{{{name}}}", f"docs/{name}?v={_asset(name).version}")
    return page


class AssetQuerySchema(StrictSchema):
    """The query of a file of the page."""

    v = Text(
        "Version of the file, as the page names it; the answer is the file as it is.",
        longest=16,
        load_default=None,
        allow_none=False,
    )


@blueprint.route("/docs", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, _TEXT, content_type=HTML_MEDIA_TYPE, headers=ETAG_DOC)
@blueprint.described(operationId="getDocs")
def get_docs() -> Any:
    """Browse this document in a browser."""
    headers = tagged(_page(), cache_control=_REVALIDATED)
    return Response(_page(), mimetype=HTML_MEDIA_TYPE, headers={**headers, "Content-Security-Policy": _PAGE_POLICY})


@blueprint.route("/docs/<asset>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.arguments(AssetQuerySchema, location="query")
@blueprint.response(200, _TEXT, content_type=_CSS, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(
    operationId="getDocsAsset",
    responses={200: {"content": {_JAVASCRIPT: {"schema": _TEXT}, _PNG: {"schema": _IMAGE}}}},
)
def get_docs_asset(_query: dict[str, Any], asset: str) -> Any:
    """Read a file that the page of the description needs."""
    if asset not in _ASSETS:
        raise NotFoundError(f"The page of the description has no file {asset[:64]!r}.")
    found = _asset(asset)
    return Response(found.body, mimetype=found.media_type, headers=tagged(found.version, cache_control=_FOR_GOOD))
