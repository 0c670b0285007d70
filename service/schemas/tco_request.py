"""What a seller states for the total cost of ownership; what is left out without a default leaves its part out."""

from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from service.quoting.tco_inputs import FACTORS, MOST_MONTHS, RANGES, CloudPrices, TcoInputs
from service.schemas.constraints import DayField
from service.schemas.exact import ByName, ExactField, Price, Share
from service.schemas.issue import Issue
from service.schemas.plain import Tuple
from service.schemas.strict import Count, Flag, RecordSchema, Text

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}
_MOST_GPUS = 100
_TAKEN = TcoInputs()


class CloudRequestSchema(RecordSchema):
    """A cloud price list to compare with."""

    record: ClassVar[type] = CloudPrices

    name = Text("Whose prices.", required=True)
    date = DayField("Of which day.", required=True)
    gpu_hour = ByName(
        "GPU id -> price of an hour, in the currency of the quote.", Price("A price."), most=_MOST_GPUS, required=True
    )
    reserved = Flag("Whether every hour is paid for, not only those that are used.", load_default=False)


class Pair(Tuple):
    """The lower and the upper bound of an input."""

    limit = "two decimal strings, the lower one first"

    def __init__(self) -> None:
        super().__init__(Price("A bound."), metadata={"minItems": 2, "maxItems": 2})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list) or len(value) != 2:
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return super()._deserialize(value, attr, data, **kwargs)


class TcoRequestSchema(RecordSchema):
    """Amounts are in the currency of the quote; a price that is not given leaves its part out, and is named."""

    record: ClassVar[type] = TcoInputs

    horizon_months = Count("Months that it is owned for.", low=1, high=MOST_MONTHS, load_default=60)
    utilisation_fraction = ExactField(
        "Share of the hours that are used.", low="0.01", high="1", places=12, default=str(_TAKEN.utilisation_fraction)
    )
    load_fraction = ExactField(
        "Mean draw over planned power.", low="0.01", high="1", places=12, default=str(_TAKEN.load_fraction)
    )
    pue = ExactField("PUE; null for that of the option.", low="1", high="5", places=6, **_OPTIONAL)
    electricity_price_kwh = Price("Price of a kWh; there is no default.", **_OPTIONAL)
    space_price_kw_month = Price("Price of space or colocation, per kW and month.", **_OPTIONAL)
    staff_price_year = Price("Staff, per year.", **_OPTIONAL)
    depreciation_months = Count("Months that it is written off over.", low=1, high=MOST_MONTHS, load_default=60)
    residual_fraction = Share("Value that is left at the end, as a share.", default=str(_TAKEN.residual_fraction))
    financing_rate_fraction = Share("Nominal rate per year; null for bought outright.", **_OPTIONAL)
    cloud = fields.Nested(
        CloudRequestSchema, metadata={"description": "A cloud price list to compare with."}, **_OPTIONAL
    )
    bounds = ByName(
        "Input -> its lower and its upper bound for the sensitivity, in place of 10 % to either side.",
        Pair(),
        most=len(RANGES) + len(FACTORS),
        load_default=dict,
    )
