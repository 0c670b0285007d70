"""Currency codes: ISO 4217, those in circulation."""

from typing import Any

from marshmallow import ValidationError, fields

from service.quoting.currency import MINOR_DIGITS
from service.schemas.issue import Issue, nearest


class CurrencyField(fields.String):
    """A currency by its three-letter ISO 4217 code."""

    limit = "a three-letter ISO 4217 code of a currency in use, such as USD"

    def __init__(self, what: str, **kwargs: Any) -> None:
        extra = {"minLength": 3, "maxLength": 3, "examples": ["EUR"]}
        super().__init__(metadata={"description": what, **extra}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or value.upper() not in MINOR_DIGITS:
            near = nearest(value.upper(), MINOR_DIGITS) if isinstance(value, str) else ()
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit, did_you_mean=near))
        return value.upper()
