"""A total cost of ownership as an answer: horizon and utilisation stand beside every figure."""

from typing import Any

from marshmallow import fields

from service.quoting.ownership import TcoPart
from service.schemas.plain import DecimalText, Tuple, count, decimal, flag, many, one, text, texts
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}


def _part(what: str) -> fields.Enum[Any]:
    return fields.Enum(TcoPart, by_value=True, required=True, metadata={"description": what})


def _parts(what: str) -> Tuple:
    return Tuple(fields.Enum(TcoPart, by_value=True), required=True, metadata={"description": what})


class CloudPricesSchema(WordedSchema):
    """The user's cloud price list."""

    name = text("Whose prices.")
    date = text("Of which day.")
    gpu_hour = fields.Dict(
        keys=fields.String(),
        values=DecimalText(),
        required=True,
        metadata={"description": "GPU id -> price of an hour."},
    )
    reserved = flag("Paid for every hour, not only for those used.")


class TcoInputsSchema(WordedSchema):
    """What it was computed with; null was not given."""

    horizon_months = count("Horizon.")
    utilisation_fraction = decimal("Share of the hours that are used.")
    load_fraction = decimal("Mean draw over planned power.")
    pue = decimal("PUE.", **_OPTIONAL)
    electricity_price_kwh = decimal("Price of a kWh.", **_OPTIONAL)
    space_price_kw_month = decimal("Price of space, per kW and month.", **_OPTIONAL)
    staff_price_year = decimal("Staff, per year.", **_OPTIONAL)
    depreciation_months = count("Months that the capital is written off over.")
    residual_fraction = decimal("Residual value.")
    financing_rate_fraction = decimal("Nominal rate per year; null is bought outright.", **_OPTIONAL)
    cloud = one(CloudPricesSchema, "Cloud prices to compare with.", **_OPTIONAL)
    bounds = fields.Dict(
        keys=fields.String(),
        values=Tuple(DecimalText()),
        required=True,
        metadata={"description": "Input -> its lower and its upper bound."},
    )


class TcoAmountSchema(WordedSchema):
    """One part over the horizon."""

    part = _part("Which part.")
    amount = decimal("How much; null where something is missing.", **_OPTIONAL)
    why = text("Its arithmetic.")
    missing = texts("Inputs and prices that it lacks.")


class TcoFigureSchema(WordedSchema):
    """The cost of one unit of work."""

    unit = text("gpu_hour, million_tokens, run or target.")
    amount = decimal("Cost of one, to six digits; null without the capital.", **_OPTIONAL)
    horizon_months = count("Over which horizon.")
    utilisation_fraction = decimal("At which utilisation.")
    without = _parts("Parts that are not in it.")
    why = text("What it divides by.")


class CloudComparisonSchema(WordedSchema):
    """The same GPU-hours at the user's cloud prices."""

    name = text("Whose prices.")
    date = text("Of which day.")
    gpu = text("GPU, by id.")
    reserved = flag("Paid for every hour.")
    gpu_hour = decimal("Price of an hour; null where the list has none.", **_OPTIONAL)
    amount = decimal("Cost over the horizon.", **_OPTIONAL)
    difference = decimal("Cloud less own.", **_OPTIONAL)
    break_even_utilisation_fraction = decimal("Utilisation at which both cost the same.", **_OPTIONAL)
    horizon_months = count("Over which horizon.")
    utilisation_fraction = decimal("At which utilisation.")
    without = _parts("Parts that are not in the own cost.")


class TcoSensitivitySchema(WordedSchema):
    """What a GPU-hour costs when one input moves."""

    input = text("The input; a factor is one on what the quote says.")
    low = decimal("Its lower value.")
    high = decimal("Its upper value.")
    gpu_hour_at_low = decimal("Cost at the lower value.")
    gpu_hour_at_high = decimal("Cost at the upper value.")


class CitedFigureSchema(WordedSchema):
    """A public figure; nothing is computed with it."""

    id = text("The input that it may help with.")
    about = text("What it is about.")
    statement = text("What was said.")
    date = text("When.")
    basis = text("How it is known.")
    sources = texts("By whom.")


class TcoSchema(WordedSchema):
    """What the quoted option costs to own."""

    currency = text("Currency of every amount.")
    inputs = one(TcoInputsSchema, "What it was computed with.")
    pue = decimal("PUE.")
    parts = many(TcoAmountSchema, "Part by part.")
    total = decimal("Sum of the known parts; null without the capital.", **_OPTIONAL)
    complete = flag("Whether every part is known.")
    missing = _parts("Parts that are not in the total.")
    figures = many(TcoFigureSchema, "Costs of a unit of work.")
    cloud = one(CloudComparisonSchema, "Beside the user's cloud prices.", **_OPTIONAL)
    sensitivity = many(TcoSensitivitySchema, "The inputs that move a GPU-hour most.")
    context = many(CitedFigureSchema, "Public figures beside it.")
