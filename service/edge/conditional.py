"""Conditional reads: an ETag that is cheap to make, and 304 for a caller who has it already."""

import hashlib

from flask import Response, abort, request

from service.edge.blueprint import Decorator, ResourceBlueprint, View

_REVALIDATE = "private, no-cache"
ETAG_DOC = {
    "ETag": {
        "description": "Tag of this version.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?".+"$'},
    }
}
_IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string", "examples": ['"5d41402abc4b2a76b9719d911017c592"']},
    "description": "A tag that you have; 304 when it is still current.",
}


def tagged(*parts: str | bytes, cache_control: str = _REVALIDATE) -> dict[str, str]:
    """Headers with the ETag of what these parts identify; ends the request with 304 when the caller has it."""
    identity = b"\x1f".join(part.encode() if isinstance(part, str) else part for part in parts)
    tag = hashlib.sha256(identity).hexdigest()[:32]
    headers = {"ETag": f'"{tag}"', "Cache-Control": cache_control}
    if request.if_none_match.contains_weak(tag):
        abort(Response(status=304, headers=headers))
    return headers


def documents_etag(blueprint: ResourceBlueprint) -> Decorator:
    """Decorator that puts ETag, If-None-Match and 304 into the document of a route."""

    def decorate(view: View) -> View:
        described = blueprint.alt_response(304, description="You have the current version.", headers=ETAG_DOC)(view)
        return blueprint.described(parameters=[_IF_NONE_MATCH])(described)

    return decorate
