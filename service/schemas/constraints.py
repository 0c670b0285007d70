"""Constraints on the wire: what the site, the purse and the law allow."""

import datetime as dt
import re
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.country import COUNTRIES
from service.schemas.issue import Issue
from service.schemas.strict import Amount, Choice, Count, Money, Names, RecordSchema
from service.sizing.hardware import Cooling
from service.sizing.workload import Constraints

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class DayField(fields.String):
    """A calendar day as YYYY-MM-DD, kept as text."""

    limit = "a day from 2020-01-01 to 2100-12-31, written YYYY-MM-DD"

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": what, "format": "date"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        issue = Issue(f"Must be {self.limit}.", value=value, limit=self.limit)
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise ValidationError(issue)
        try:
            day = dt.date.fromisoformat(value)
        except ValueError as error:
            raise ValidationError(issue) from error
        if not 2020 <= day.year <= 2100:
            raise ValidationError(issue)
        return value


class CountryField(fields.String):
    """A country by its two-letter ISO 3166-1 code."""

    limit = "a two-letter ISO 3166-1 country code such as DE"

    def __init__(self, what: str, **kwargs: Any) -> None:
        extra = {"minLength": 2, "maxLength": 2, "examples": ["DE"]}
        super().__init__(metadata={"description": what, **extra}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or value.upper() not in COUNTRIES:
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return value.upper()


class ConstraintsSchema(RecordSchema):
    """Every one is optional; one that is left out does not bind."""

    record = Constraints

    allowed_gpus = Names("Only these GPUs, by id.", **_OPTIONAL)
    allowed_servers = Names("Only these servers or server families, by id.", **_OPTIONAL)
    cooling = Choice("Only servers cooled like this.", tuple(Cooling), **_OPTIONAL)
    max_rack_kw = Amount("Power that one rack may draw.", low=1, high=1000, **_OPTIONAL)
    max_rack_air_kw = Amount(
        "Heat of one rack that the air of the room takes away: all of an air-cooled rack, of a liquid-cooled one the "
        "part that goes into air.",
        low=1,
        high=1000,
        **_OPTIONAL,
    )
    max_rack_kg = Amount(
        "Weight of servers that one rack and the floor under it carry.", low=10, high=10_000, **_OPTIONAL
    )
    max_facility_kw = Amount(
        "Power that the whole installation may draw, cooling included.", low=1, high=1e6, **_OPTIONAL
    )
    max_racks = Count("Racks that the site has room for.", low=1, high=100_000, **_OPTIONAL)
    max_budget_usd = Money("Indicative hardware cost, at most.", **_OPTIONAL)
    deliver_by = DayField(
        "Day by which it must be delivered. Kept with the question; a sizing knows no lead times and does not evaluate "
        "it, quotes will.",
        **_OPTIONAL,
    )
    destination_country = CountryField(
        "Where it will stand. Kept with the question; a sizing screens no export rules and does not evaluate it, "
        "quotes will.",
        **_OPTIONAL,
    )
    pue = Amount(
        "Power usage effectiveness of the site, in place of the preset of the cooling.", low=1, high=5, **_OPTIONAL
    )
    grid_kg_co2_kwh = Amount("Carbon dioxide of a kilowatt-hour from the site's grid.", low=0, high=2, **_OPTIONAL)
    min_confidence_fraction = Amount(
        "Confidence at which an option must meet the target.", low=0.5, high=0.99, load_default=0.8
    )
