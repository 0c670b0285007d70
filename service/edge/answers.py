"""JSON answers: written by orjson, in UTF-8."""

from typing import Any

import orjson
from flask.json.provider import JSONProvider

MEDIA_TYPE = "application/json"
PROBLEM_MEDIA_TYPE = "application/problem+json"


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson. Reading stays with service/edge/body.py, which is stricter than any library."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """JSON text; datetimes in RFC 3339 UTC."""
        return orjson.dumps(obj, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """The value of a JSON text."""
        return orjson.loads(s)
