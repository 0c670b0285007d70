"""Exact numbers that callers send: decimal strings between bounds, kept as Decimal; a float has lost its digits."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.issue import Issue
from service.schemas.plain import DecimalText
from service.schemas.strict import Text


class ExactField(DecimalText):
    """A decimal string from `low` to `high` with at most `places` decimals."""

    def __init__(
        self, what: str, *, low: str, high: str, places: int, default: str | None = None, **kwargs: Any
    ) -> None:
        self.low, self.high = Decimal(low), Decimal(high)
        digits = len(str(int(self.high)))
        self.pattern = rf"^\d{{1,{digits}}}(\.\d{{1,{places}}})?$" if places else rf"^\d{{1,{digits}}}$"
        self._shape = re.compile(self.pattern, re.ASCII)
        self.limit = f'{low} to {high} as a decimal string with at most {places} decimals, such as "{self._example()}"'
        extra: dict[str, Any] = {"pattern": self.pattern, "examples": [self._example()]}
        if default is not None:
            # The document shows the text; whoever leaves the field out gets the number.
            extra["default"] = default
            kwargs["load_default"] = lambda: Decimal(default)
        super().__init__(metadata={"description": what, **extra}, **kwargs)

    def _example(self) -> str:
        return "0.15" if self.high <= 1 else "1.25" if self.low >= 1 else "12.50"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError(Issue("Is written as a decimal string.", value=value, limit=self.limit))
        if not self._shape.fullmatch(value) or not self.low <= Decimal(value) <= self.high:
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return Decimal(value)


class Share(ExactField):
    """A share of a whole, 0 to 1: 0.15 is 15 %."""

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(what, low="0", high="1", places=12, **kwargs)


class Price(ExactField):
    """An amount of money that may be 0, to six decimals."""

    def __init__(self, what: str, *, high: str = "1000000000000", places: int = 6, **kwargs: Any) -> None:
        super().__init__(what, low="0", high=high, places=places, **kwargs)


class Rate(ExactField):
    """Units of one currency for one of another."""

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(what, low="0", high="1000000", places=12, **kwargs)


class ByName(fields.Dict):
    """An object from a name to a value, with at most so many of them."""

    def __init__(self, what: str, values: fields.Field[Any], *, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(
            keys=Text("A name.", longest=200),
            values=values,
            metadata={"description": what, "maxProperties": most},
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, Mapping) and len(value) > self.most:
            limit = f"at most {self.most} entries"
            raise ValidationError(Issue(f"Takes {limit}; this has {len(value)}.", limit=limit))
        try:
            return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        except ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            # Whether the key or the value is wrong is in the words; the place is the entry.
            raise ValidationError({str(name): _flat(found) for name, found in error.messages.items()}) from error


def _flat(messages: Any) -> list[Any]:
    if isinstance(messages, dict):
        return [message for part in messages.values() for message in _flat(part)]
    return list(messages) if isinstance(messages, list) else [messages]
