"""Request bodies: small, uncompressed, JSON by the rules of service/schemas/json_text.py; anything else is refused."""

import math
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from service.edge.answers import MEDIA_TYPE
from service.errors import PlannerError
from service.schemas.json_text import MalformedBodyError, parse_json


class UnsupportedMediaTypeError(PlannerError):
    """The body is of a media type or encoding that no route takes."""

    code = "unsupported_media_type"


def read_json(request: Request) -> Any:
    """The value of the request's body; the size limit is the application's MAX_CONTENT_LENGTH."""
    return parse_json(read_bytes(request, MEDIA_TYPE))


def read_bytes(request: Request, *media_types: str) -> bytes:
    """The body of a request in one of these media types, in UTF-8 and as it is."""
    _check_headers(request, media_types)
    body = request.get_data(cache=False)
    # A chunked body has no length to refuse it by: werkzeug stops reading at the limit, so it may be cut off.
    if request.content_length is None and len(body) >= (request.max_content_length or math.inf):
        raise RequestEntityTooLarge
    return body


def _check_headers(request: Request, media_types: tuple[str, ...]) -> None:
    if request.mimetype not in media_types:
        given = f"this is {request.mimetype}" if request.mimetype else "there is no Content-Type"
        raise UnsupportedMediaTypeError(f"Send the body as {' or '.join(media_types)}; {given}.")
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.lower().replace("_", "-") not in {"utf-8", "utf8", "us-ascii"}:
        written = "JSON is" if request.mimetype == MEDIA_TYPE else "Bodies are"
        raise MalformedBodyError(f"{written} written in UTF-8; leave charset out of Content-Type.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaTypeError("Send the body uncompressed, without Content-Encoding.")
