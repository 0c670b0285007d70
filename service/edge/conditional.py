"""Conditional requests: an ETag that is cheap to make, 304 for a caller who has it, and no change over a newer one."""

import hashlib
import re
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, Response, abort, current_app, request

from service.edge.blueprint import Decorator, ResourceBlueprint, View
from service.errors import MalformedConditionError, PreconditionFailedError, PreconditionRequiredError

REVALIDATE = "private, no-cache"
_EXTENSION = "headroom-form-of-answers"
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
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string", "maxLength": 1000, "examples": ['"5d41402abc4b2a76b9719d911017c592"', "*"]},
    "description": "The ETag of the version that you read, or several; * for whatever is there. 428 without it, 412 "
    "when the object was changed meanwhile, and for a weak tag (W/ before it), which never matches.",
}
_ANY = "*"
# RFC 9110: entity tags between commas, where a list may have empty places.
_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_ENTITY_TAG}(?:[ \t]*,[ \t]*(?:{_ENTITY_TAG})?)*[ \t]*")
_EACH_TAG = re.compile(_ENTITY_TAG)


def name_form(app: Flask, version: str) -> None:
    """Give every tag the version of the form that answers have, to be called once all routes are described.

    A tag names an object and its version; a release that writes the same version with one more member is another
    answer, and 304 would keep the old one alive.
    """
    app.extensions[_EXTENSION] = version.encode()


def entity_tag(*parts: str | bytes, app: Flask | None = None) -> str:
    """The tag, without its quotes, of what these parts identify, in the form that it is written in today.

    `app` only where no request is at hand.
    """
    form: bytes = (app or current_app).extensions[_EXTENSION]
    identity = b"\x1f".join((form, *(part.encode() if isinstance(part, str) else part for part in parts)))
    return hashlib.sha256(identity).hexdigest()[:32]


def quoted(tag: str, *, weak: bool = False) -> str:
    """A tag as ETag tells it: weak where it stands for the same in another encoding, which is not the same bytes."""
    return f'W/"{tag}"' if weak else f'"{tag}"'


def tagged(
    *parts: str | bytes, cache_control: str = REVALIDATE, vary: str | None = None, weak: bool = False
) -> dict[str, str]:
    """Headers with the ETag of what these parts identify; ends the request with 304 when the caller has it.

    `vary` names the headers of the request that chose among several forms; each has parts of its own, or a weak tag.
    """
    tag = entity_tag(*parts)
    headers = {"ETag": quoted(tag, weak=weak), "Cache-Control": cache_control}
    if vary is not None:
        headers["Vary"] = vary
    if "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(tag):
        abort(Response(status=304, headers=headers))
    return headers


def documents_etag(blueprint: ResourceBlueprint) -> Decorator:
    """Decorator that puts ETag, If-None-Match and 304 into the document of a route."""

    def decorate(view: View) -> View:
        described = blueprint.alt_response(304, description="You have the current version.", headers=ETAG_DOC)(view)
        return blueprint.described(parameters=[_IF_NONE_MATCH])(described)

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class IfMatch:
    """The versions that a change is for: entity tags in their quotes, or None for whatever is there."""

    tags: frozenset[str] | None

    def names(self, tag: str) -> bool:
        """Whether the current tag is named; False when any version will do. PreconditionFailedError for other tags.

        The comparison is strong: a weak tag is never the current one.
        """
        if self.tags is None:
            return False
        if f'"{tag}"' in self.tags:
            return True
        if f'W/"{tag}"' in self.tags:
            raise PreconditionFailedError(
                'The tag is that of the current version and weak (W/"..."), and a weak tag never matches; a proxy may '
                "have weakened it on its way. Send it without W/."
            )
        raise PreconditionFailedError("It was changed after you had read it; read it again and repeat your change.")


def if_match() -> IfMatch:
    """What If-Match says; PreconditionRequiredError without it, MalformedConditionError when it cannot be read."""
    header = request.headers.get("If-Match")
    if header is None:
        raise PreconditionRequiredError(
            "Send If-Match with the ETag of the version that you read, so that no newer one is overwritten."
        )
    if header.strip() == _ANY:
        return IfMatch(tags=None)
    if not _TAGS.fullmatch(header):
        raise MalformedConditionError('If-Match holds * or entity tags in quotes, such as "5d41402a", between commas.')
    return IfMatch(tags=frozenset(_EACH_TAG.findall(header)))


def documents_if_match(blueprint: ResourceBlueprint) -> Decorator:
    """Decorator that puts If-Match and its refusals into the document of a route."""

    def decorate(view: View) -> View:
        for status in (HTTPStatus.BAD_REQUEST, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED):
            view = blueprint.alt_response(status.value, response=status.name)(view)
        return blueprint.described(parameters=[_IF_MATCH])(view)

    return decorate
