"""Pages of a list on the wire: the query, opaque cursors, and the page itself."""

import base64
import binascii
from collections.abc import Callable
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from service.schemas.issue import Issue
from service.schemas.strict import StrictSchema

DEFAULT_LIMIT = 50
MOST = 500
_LONGEST_CURSOR = 200


def _id(text: str) -> str:
    if not text.replace("_", "").replace("-", "").replace(".", "").isalnum():
        raise ValueError("not an id")
    return text


def ordinal(text: str) -> int:
    """A number that counts from 1, as a cursor writes it; ValueError for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError("not a number")
    return int(text)


class LimitField(fields.Integer):
    """How many items a page holds; a query has text only."""

    limit = f"1 to {MOST}"

    def __init__(self) -> None:
        super().__init__(
            load_default=DEFAULT_LIMIT,
            metadata={"description": "Items on the page.", "minimum": 1, "maximum": MOST},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MOST):
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return int(text)


class CursorField(fields.String):
    """Where the page begins: what `next_cursor` of the page before said. Each list has its own."""

    def __init__(self, of: str, *, read: Callable[[str], Any] = _id) -> None:
        self.of, self.read = of, read
        super().__init__(
            load_default=None,
            allow_none=False,
            metadata={"description": "`next_cursor` of the page before.", "minLength": 1, "maxLength": _LONGEST_CURSOR},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return self.read(decode_cursor(str(value), of=self.of))
        except ValueError as error:
            raise ValidationError(Issue("Is not a cursor of this list.", value=value)) from error


class PageQuerySchema(StrictSchema):
    """The query of a list; each adds its own cursor, which knows the last item of the page before."""

    # A query has no types: everything is text, and unknown names are refused like unknown fields.
    limit = LimitField()
    refused: ClassVar[dict[str, str]] = {"offset": "Pages go by cursor.", "page": "Pages go by cursor."}


def encode_cursor(last: str, *, of: str) -> str:
    """The cursor that continues after an item of the list."""
    return base64.urlsafe_b64encode(f"{of}:{last}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *, of: str) -> str:
    """The item in a cursor; ValueError for anything that encode_cursor did not write for this list."""
    if not cursor.isascii() or len(cursor) > _LONGEST_CURSOR:
        raise ValueError("too long or not ASCII")
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not base64") from error
    named, _, last = text.partition(":")
    if named != of:
        raise ValueError("of another list")
    return last


def page(items: tuple[Any, ...], *, of: str, limit: int, id_of: str = "id") -> dict[str, Any]:
    """One page of items of which one more than `limit` was asked for, to know whether there is a next page."""
    shown = items[:limit]
    if len(items) <= limit:
        return {"items": shown}
    return {"items": shown, "next_cursor": encode_cursor(str(getattr(shown[-1], id_of)), of=of)}
