"""Tables as bodies: a route whose schema takes one reads text/csv as the JSON body that it stands for."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Request

from service.edge.answers import MEDIA_TYPE
from service.edge.body import read_bytes
from service.errors import FieldError, InvalidRequestError
from service.schemas.json_text import MalformedBodyError, parse_json

CSV_MEDIA_TYPE = "text/csv"
OfTable = Callable[[str, Mapping[str, str]], Any]


def of_table(schema: Any) -> OfTable | None:
    """What a schema makes of a table and of the query beside it; None for one that takes no table."""
    found: OfTable | None = getattr(schema, "of_table", None)
    return found


def read_body(request: Request, as_table: OfTable) -> Any:
    """The body of a request, JSON or table; only beside a table the query says what it has no place for."""
    body = read_bytes(request, MEDIA_TYPE, CSV_MEDIA_TYPE)
    if request.mimetype == MEDIA_TYPE:
        _refuse(request.args.keys(), "There is no such field beside a JSON body; only a table has it in the query.")
        return parse_json(body)
    _refuse((name for name, values in request.args.lists() if len(values) > 1), "Is given twice; it has one value.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    if not text.strip():
        raise MalformedBodyError("The body is empty; send a table whose first row names its columns.")
    if "\x00" in text:
        raise MalformedBodyError("The table contains the character NUL.")
    return as_table(text, request.args.to_dict())


def _refuse(names: Any, message: str) -> None:
    errors = tuple(FieldError(field=name[:200], message=message) for name in names)
    if errors:
        raise InvalidRequestError(f"{errors[0].field}: {message}", errors=errors[:50])
