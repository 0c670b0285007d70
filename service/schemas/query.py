"""Fields of queries: in an address everything is text, and each text has one meaning or is refused."""

import re
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.issue import Issue

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class TimeField(fields.AwareDateTime):
    """A time in RFC 3339 with its zone; kept in UTC."""

    limit = "a time in RFC 3339 with its zone, such as 2026-11-20T12:00:00Z"

    def __init__(self, what: str) -> None:
        super().__init__(format="iso", load_default=None, allow_none=False, metadata={"description": what})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        moment = _moment(str(value))
        if moment is None:
            hint = " In an address a + is written %2B." if " " in str(value) else ""
            raise ValidationError(Issue(f"Must be {self.limit}.{hint}", value=value, limit=self.limit))
        return moment


def _moment(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
