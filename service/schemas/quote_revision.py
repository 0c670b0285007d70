"""What a seller asks of the next revision of a quote; what is left out is as it was, or of today."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import fields, validates_schema

from service.quoting.days import LONGEST_VALIDITY_DAYS
from service.quoting.terms import FxRate
from service.schemas.constraints import DayField
from service.schemas.exact import ByName, Share
from service.schemas.quote_request import MOST_ENTRIES, FxRequestSchema, refuse_two_validities
from service.schemas.strict import Count, RecordSchema, Text

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRequest:
    """What is to be otherwise."""

    run_id: str | None = None
    option: int | None = None
    fx: FxRate | None = None
    valid_days: int | None = None
    valid_until: str | None = None
    discount_fraction: Decimal | None = None
    line_discounts: Mapping[str, Decimal] | None = None


class RevisionRequestSchema(RecordSchema):
    """The next revision of a quote; an empty object asks for the newest answer and the prices of today."""

    record: ClassVar[type] = RevisionRequest

    run_id = Text(
        "The run to quote from; null for the newest done run of the workload in which something fits.",
        longest=64,
        **_OPTIONAL,
    )
    option = Count(
        "Rank of the option; null for the best one of the same server, or for 1 of a run that is named.",
        low=1,
        high=1000,
        **_OPTIONAL,
    )
    fx = fields.Nested(FxRequestSchema, metadata={"description": "The rate; null for the one of before."}, **_OPTIONAL)
    valid_days = Count("Days from today; null for as many as before.", low=1, high=LONGEST_VALIDITY_DAYS, **_OPTIONAL)
    valid_until = DayField("The last day of its validity, in place of valid_days.", **_OPTIONAL)

    discount_fraction = Share(
        "Discount of every line that has none of its own; null for that of before.", load_default=None, allow_none=True
    )
    line_discounts = ByName(
        "Line id -> its own discount, all of them; null for those of before.",
        Share("A share."),
        most=MOST_ENTRIES,
        **_OPTIONAL,
    )

    @validates_schema(skip_on_field_errors=True)
    def _one_validity(self, data: dict[str, Any], **_: Any) -> None:
        refuse_two_validities(data)
