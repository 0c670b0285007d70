"""Currency codes: ISO 4217, those that are legal tender somewhere today."""

from typing import Any

from babel.numbers import get_territory_currencies
from marshmallow import ValidationError, fields

from service.schemas.country import COUNTRIES
from service.schemas.issue import Issue, nearest

CURRENCIES = frozenset(code for country in COUNTRIES for code in get_territory_currencies(country))


class CurrencyField(fields.String):
    """A currency by its three-letter ISO 4217 code."""

    limit = "a three-letter ISO 4217 code of a currency in use, such as USD"

    def __init__(self, what: str, **kwargs: Any) -> None:
        extra = {"minLength": 3, "maxLength": 3, "examples": ["EUR"]}
        super().__init__(metadata={"description": what, **extra}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or value.upper() not in CURRENCIES:
            near = nearest(value.upper(), sorted(CURRENCIES)) if isinstance(value, str) else ()
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit, did_you_mean=near))
        return value.upper()
