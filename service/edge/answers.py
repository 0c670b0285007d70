"""JSON answers: written by orjson, in UTF-8, and without the numbers that JSON does not have."""

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

MEDIA_TYPE = "application/json"
HTML_MEDIA_TYPE = "text/html"
PROBLEM_MEDIA_TYPE = "application/problem+json"
_MAY_HOLD = (float, dict, list, tuple)


def without_content(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of a status and headers alone; of what is not there, no type is told."""
    response = Response(status=status, headers=headers)
    del response.headers["Content-Type"]
    return response


class NotFiniteError(ValueError):
    """An answer holds NaN or an infinity: a fault of ours, answered 500 and logged with the place."""

    quotes_nobody = True


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson. Reading stays with service/edge/body.py, which is stricter than any library."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """JSON text; datetimes in RFC 3339 UTC. Raises NotFiniteError where a number is NaN or infinite."""
        # orjson would write null, which a caller reads as "unknown on purpose".
        refuse_not_finite(obj)
        return orjson.dumps(obj, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """The value of a JSON text."""
        return orjson.loads(s)


def refuse_not_finite(answer: Any) -> None:
    """Raises NotFiniteError with the place of the first NaN or infinity in an answer."""
    place = _place_of_not_finite(answer)
    if place is not None:
        raise NotFiniteError(f"{'.'.join(place) or 'the answer'} is not a finite number, and JSON has no other")


def _place_of_not_finite(value: Any) -> tuple[str, ...] | None:
    # The place is put together on the way back only: answers are long, and nearly all of them are well.
    if isinstance(value, float):
        return None if math.isfinite(value) else ()
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list | tuple):
        pairs = enumerate(value)
    else:
        return None
    for name, inner in pairs:
        if isinstance(inner, _MAY_HOLD):
            place = _place_of_not_finite(inner)
            if place is not None:
                return (str(name), *place)
    return None
