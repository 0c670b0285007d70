"""Pages of a list on the wire: the query, opaque cursors, and the page itself."""

import base64
import binascii
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from service.schemas.issue import Issue
from service.schemas.strict import StrictSchema

DEFAULT_LIMIT = 50
MOST = 500
_LONGEST_CURSOR = 200


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
    """Where the page begins: what `next_cursor` of the page before said."""

    def __init__(self) -> None:
        super().__init__(
            load_default=None,
            allow_none=False,
            metadata={"description": "`next_cursor` of the page before.", "minLength": 1, "maxLength": _LONGEST_CURSOR},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return decode_cursor(str(value))
        except ValueError as error:
            raise ValidationError(Issue("Is not a cursor of this service.", value=value)) from error


class PageQuerySchema(StrictSchema):
    """The query of a list: `before` is an id that only the cursor knows."""

    # A query has no types: everything is text, and unknown names are refused like unknown fields.
    limit = LimitField()
    cursor = CursorField()
    refused: ClassVar[dict[str, str]] = {"offset": "Pages go by cursor.", "page": "Pages go by cursor."}


def encode_cursor(last_id: str) -> str:
    """The cursor that continues after an item."""
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The id in a cursor; ValueError for anything that encode_cursor did not write."""
    if not cursor.isascii() or len(cursor) > _LONGEST_CURSOR:
        raise ValueError("too long or not ASCII")
    try:
        last_id = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not base64") from error
    if not last_id.replace("_", "").replace("-", "").replace(".", "").isalnum():
        raise ValueError("not an id")
    return last_id


def page(items: tuple[Any, ...], *, limit: int, id_of: str = "id") -> dict[str, Any]:
    """One page of items of which one more than `limit` was asked for, to know whether there is a next page."""
    shown = items[:limit]
    if len(items) <= limit:
        return {"items": shown}
    return {"items": shown, "next_cursor": encode_cursor(getattr(shown[-1], id_of))}
