"""Fields of what is kept as JSON text: it is shown with the schema that it has, and read or passed on as it is."""

from collections.abc import Callable
from typing import Any

import orjson
from marshmallow import Schema, fields


class StoredJson(fields.Field[Any]):
    """JSON that is kept as text; the document shows the schema that it has."""

    def __init__(self, what: str, shape: type[Schema], **kwargs: Any) -> None:
        super().__init__(required=True, metadata={"description": what}, **kwargs)
        self.shape = shape

    def shapes(self, resolve: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """JSON Schema of what is kept."""
        return resolve(self.shape)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else orjson.loads(value)


class KeptJson(StoredJson):
    """The same, passed on to the byte."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return orjson.Fragment(value)
