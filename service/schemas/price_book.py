"""A price book as it stands in its file; money is text on the wire and Decimal inside."""

from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from service.quoting.prices import PartKind, PriceLine
from service.schemas.plain import DecimalText
from service.schemas.strict import Choice, RecordSchema, StrictSchema, Text

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}
_BASES = ("seen", "seen_secondary", "inferred", "recalled", "estimated", "unknown")


def _one_of(*values: str) -> validate.OneOf:
    return validate.OneOf(values, error=f"Must be {' or '.join(values)}.")


class PriceField(DecimalText):
    """A positive amount of money as a decimal string."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError("Money is written as a decimal string.")
        try:
            amount = Decimal(value)
        except InvalidOperation as error:
            raise ValidationError("Not a decimal number.") from error
        if not amount.is_finite() or amount <= 0:
            raise ValidationError("Must be more than 0; an unknown price is null, never 0.")
        return amount


class PriceLineSchema(RecordSchema):
    """One part of a price book."""

    record: ClassVar[type] = PriceLine

    part = Text("Id of the server, switch or other part.", required=True)
    kind = Choice("What the price is for.", PartKind, required=True)
    unit = Text("What one of it is.", required=True)
    list_price_usd = PriceField(**_OPTIONAL)
    low_usd = PriceField(**_OPTIONAL)
    high_usd = PriceField(**_OPTIONAL)
    basis = fields.String(required=True, validate=_one_of(*_BASES))
    sources = fields.List(fields.String(), required=True)
    confidence = fields.String(required=True, validate=_one_of("high", "medium", "low", "none"))
    note = fields.String(load_default="")

    @validates_schema(skip_on_field_errors=True)
    def _consistent(self, data: dict[str, Any], **_: Any) -> None:
        low, price, high = data["low_usd"], data["list_price_usd"], data["high_usd"]
        if price is None:
            if data["basis"] != "unknown":
                raise ValidationError({"basis": ["A line without a price has the basis unknown."]})
            return
        if not data["sources"]:
            raise ValidationError({"sources": ["A price needs a source."]})
        if not (low or price) <= price <= (high or price):
            raise ValidationError({"list_price_usd": ["Must lie between low_usd and high_usd."]})

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        return PriceLine(**{**data, "sources": tuple(data["sources"])})


class SourceSchema(StrictSchema):
    """Where a price is from."""

    what = fields.String(required=True)
    url = fields.String(load_default=None)
    date = fields.String(load_default=None)


class PriceBookFileSchema(StrictSchema):
    """One file of config/prices."""

    name = Text("Name of the book.", required=True)
    date = fields.Date(required=True)
    currency = fields.String(required=True, validate=_one_of("USD"))
    indicative = fields.Boolean(required=True)
    sources = fields.Dict(keys=fields.String(), values=fields.Nested(SourceSchema), required=True)
    lines = fields.List(fields.Nested(PriceLineSchema), required=True)

    @validates_schema(skip_on_field_errors=True)
    def _references(self, data: dict[str, Any], **_: Any) -> None:
        seen: set[str] = set()
        for line in data["lines"]:
            if line.part in seen:
                raise ValidationError({"lines": [f"{line.part} appears twice."]})
            seen.add(line.part)
            missing = [source for source in line.sources if source not in data["sources"]]
            if missing:
                raise ValidationError({"lines": [f"{line.part}: unknown source {missing[0]}."]})
