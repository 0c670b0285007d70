"""Fields of queries: in an address everything is text, and each text has one meaning or is refused."""

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.issue import Issue
from service.schemas.strict import StrictSchema
from service.schemas.workload import LABEL_KEY_CHARACTERS, LABEL_VALUE_CHARACTERS, check_label

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


class YesOrNo(fields.Boolean):
    """`true` or `false`, and nothing else that might mean one of them."""

    limit = "true or false"
    words = MappingProxyType({"true": True, "false": False})

    def __init__(self, what: str) -> None:
        super().__init__(load_default=None, allow_none=False, metadata={"description": what})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in self.words:
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return self.words[value]


class DaysField(fields.Integer):
    """A number of days from 0 on."""

    def __init__(self, what: str, *, most: int) -> None:
        self.most = most
        super().__init__(
            load_default=None, allow_none=False, metadata={"description": what, "minimum": 0, "maximum": most}
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        text, limit = str(value), f"0 to {self.most}"
        if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= self.most):
            raise ValidationError(Issue(f"Must be {limit}.", value=value, limit=limit))
        return int(text)


class LabelField(fields.String):
    """`key:value`; the key ends at the first colon."""

    limit = "key:value, such as team:care"

    def __init__(self) -> None:
        longest = LABEL_KEY_CHARACTERS + 1 + LABEL_VALUE_CHARACTERS
        super().__init__(metadata={"examples": ["team:care"], "pattern": "^[^:]+:", "maxLength": longest})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        key, colon, text = str(value).partition(":")
        if not colon:
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        check_label(key, text)
        return key, text


class LabelsField(fields.List[Any]):
    """Labels that must all be there; `label` is given once for each."""

    most = 10
    limit = f"at most {most} labels"

    def __init__(self, what: str) -> None:
        extra = {"maxItems": self.most}
        super().__init__(
            LabelField(), data_key="label", load_default=(), allow_none=False, metadata={"description": what, **extra}
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if len(value) > self.most:
            raise ValidationError(Issue(f"Takes {self.limit}; these are {len(value)}.", limit=self.limit))
        return tuple(super()._deserialize(value, attr, data, **kwargs))


class NoQuerySchema(StrictSchema):
    """The query of a route that takes none."""

    def _unknown(self, key: str, known: list[str]) -> Issue:
        return Issue("There is no such field: this route takes no query parameters.")
