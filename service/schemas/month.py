"""A calendar month on the wire, within the years of serving software that anybody publishes figures of."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.issue import Issue

_PATTERN = r"^20(2[3-9]|30)-(0[1-9]|1[0-2])$"
_MONTH = re.compile(_PATTERN, re.ASCII)


class MonthField(fields.String):
    """A month as YYYY-MM, kept as text."""

    limit = "a month from 2023-01 to 2030-12, written YYYY-MM"

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": what, "pattern": _PATTERN, "examples": ["2026-03"]}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        # fullmatch: `$` alone would let a line break at the end pass.
        if not isinstance(value, str) or not _MONTH.fullmatch(value):
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return value
