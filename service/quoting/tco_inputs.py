"""What a total cost of ownership is asked with: the defaults that are judgement, and the inputs that have none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from service.errors import FieldError
from service.quoting.refusal import field_error, near_names, refused

MOST_MONTHS = 120
_MOST = Decimal(10) ** 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudPrices:
    """A price list that the user brings: price of a GPU-hour by GPU id, in the quote's currency.

    `reserved` prices are paid for every hour, others for hours that are used.
    """

    name: str
    date: str
    gpu_hour: Mapping[str, Decimal]
    reserved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TcoInputs:
    """Amounts are in the quote's currency; None is not given, and leaves the part that needs it out.

    `load_fraction` is mean draw over planned power; `pue` None is that of the option's facility plan;
    `financing_rate_fraction` is nominal and per year, None is bought outright; `bounds` are (low, high) of inputs for
    the sensitivity, in place of 10 % to either side.
    """

    horizon_months: int = 60
    utilisation_fraction: Decimal = Decimal("0.6")
    load_fraction: Decimal = Decimal("0.8")
    pue: Decimal | None = None
    electricity_price_kwh: Decimal | None = None
    space_price_kw_month: Decimal | None = None
    staff_price_year: Decimal | None = None
    depreciation_months: int = 60
    residual_fraction: Decimal = Decimal(0)
    financing_rate_fraction: Decimal | None = None
    cloud: CloudPrices | None = None
    bounds: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)


# Every input that the sensitivity moves, with what it may be.
RANGES: Mapping[str, tuple[Decimal, Decimal]] = {
    "utilisation_fraction": (Decimal("0.01"), Decimal(1)),
    "load_fraction": (Decimal("0.01"), Decimal(1)),
    "pue": (Decimal(1), Decimal(5)),
    "electricity_price_kwh": (Decimal(0), _MOST),
    "space_price_kw_month": (Decimal(0), _MOST),
    "staff_price_year": (Decimal(0), _MOST),
    "residual_fraction": (Decimal(0), Decimal(1)),
    "financing_rate_fraction": (Decimal(0), Decimal(1)),
}
# Factors on what the quote says, so that a price that is not sure can be moved too.
FACTORS = ("hardware_price_factor", "software_price_factor", "support_price_factor")


def check_inputs(inputs: TcoInputs) -> None:
    """Raises InvalidRequestError with every input that cannot be."""
    wrong = [*_months(inputs), *_values(inputs), *_bounds(inputs), *_cloud(inputs)]
    if wrong:
        raise refused(wrong)


def _months(inputs: TcoInputs) -> Iterator[FieldError]:
    limit = f"1 to {MOST_MONTHS} months; 48, 60 and 72 are usual"
    for name in ("horizon_months", "depreciation_months"):
        if not 1 <= getattr(inputs, name) <= MOST_MONTHS:
            yield field_error(f"tco.{name}", f"Must be {limit}.", value=getattr(inputs, name), limit=limit)


def _values(inputs: TcoInputs) -> Iterator[FieldError]:
    for name, (low, high) in RANGES.items():
        value = getattr(inputs, name)
        if value is not None and not _within(value, low, high):
            limit = f"{low:,} to {high:,}"
            yield field_error(f"tco.{name}", f"Must be {limit}.", value=value, limit=limit)


def _bounds(inputs: TcoInputs) -> Iterator[FieldError]:
    known = (*RANGES, *FACTORS)
    for name, (low, high) in inputs.bounds.items():
        at = f"tco.bounds.{name}"
        if name not in known:
            yield field_error(at, "There is no such input.", value=name, near=near_names(name, known))
            continue
        least, most = RANGES.get(name, (Decimal(0), Decimal(10)))
        if not (_within(low, least, most) and _within(high, least, most) and low <= high):
            limit = f"{least:,} to {most:,}, the lower one first"
            yield field_error(at, f"Must be {limit}.", value=f"{low} to {high}", limit=limit)


def _cloud(inputs: TcoInputs) -> Iterator[FieldError]:
    for gpu, price in () if inputs.cloud is None else inputs.cloud.gpu_hour.items():
        if not price.is_finite() or not 0 < price <= _MOST:
            yield field_error(f"tco.cloud.gpu_hour.{gpu}", "Must be more than 0.", value=price, limit="more than 0")


def _within(value: Decimal, low: Decimal, high: Decimal) -> bool:
    return value.is_finite() and low <= value <= high
