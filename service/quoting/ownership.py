"""What ownership of a quoted option costs, part by part and unrounded: the formulas of the total cost of ownership."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from service.quoting.bom_rules import Charge
from service.quoting.currency import EXACT
from service.quoting.output import DAYS_MONTH, HOURS_DAY
from service.quoting.prices import PartKind
from service.quoting.pricing import MONTHS_YEAR, Priced, PricedLine
from service.quoting.quantities import number
from service.quoting.tco_inputs import TcoInputs
from service.sizing.result import SizingOption

HOURS_MONTH = DAYS_MONTH * HOURS_DAY


class TcoPart(StrEnum):
    """What ownership costs."""

    CAPITAL = "capital"
    FINANCING = "financing"
    ENERGY = "energy"
    SPACE = "space"
    SUPPORT = "support"
    SOFTWARE = "software"
    STAFF = "staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What the quote itself says, unrounded: capital, and a year's charges over the horizon; None where unpriced."""

    capital: Decimal | None
    support: Decimal | None
    software: Decimal | None
    unpriced: Mapping[TcoPart, tuple[str, ...]]
    it_power_kw: Decimal | None


def paid_by(priced: Priced, option: SizingOption, inputs: TcoInputs) -> Paid:
    """What the quote says of capital, software and support, and the power that the option plans with."""
    once = [line for line in priced.lines if line.bom.charge is Charge.ONE_TIME]
    yearly = [line for line in priced.lines if line.bom.charge is Charge.YEARLY]
    software = [line for line in yearly if line.bom.kind is PartKind.SOFTWARE]
    others = [line for line in yearly if line.bom.kind is not PartKind.SOFTWARE]
    power = option.facility.it_power_kw
    groups = {TcoPart.CAPITAL: once, TcoPart.SUPPORT: others, TcoPart.SOFTWARE: software}
    unpriced = {part: _unpriced(lines, inputs.horizon_months) for part, lines in groups.items()}
    capital = priced.totals.one_time.net_amount + priced.totals.charges_amount
    return Paid(
        capital=None if unpriced[TcoPart.CAPITAL] else capital,
        support=None if unpriced[TcoPart.SUPPORT] else _charged(others, inputs.horizon_months),
        software=None if unpriced[TcoPart.SOFTWARE] else _charged(software, inputs.horizon_months),
        unpriced=unpriced,
        it_power_kw=None if power is None else number(power),
    )


def _pieces(line: PricedLine, horizon_months: int) -> tuple[int, int]:
    """How many are paid for over the horizon, and for how many months; beyond its term a charge goes on as it is."""
    if line.bom.charge is Charge.ONE_TIME:
        return line.bom.quantity, 0
    covered = line.bom.included_months
    if covered is None:
        return line.bom.quantity, horizon_months
    months = max(0, horizon_months - covered)
    return (max(line.bom.quantity, line.bom.included_quantity) if months else 0), months


def _unpriced(lines: Iterable[PricedLine], horizon_months: int) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(line.bom.part for line in lines if line.unit_net is None and _pieces(line, horizon_months)[0])
    )


def _charged(lines: Iterable[PricedLine], horizon_months: int) -> Decimal:
    amount = Decimal(0)
    for line in lines:
        pieces, months = _pieces(line, horizon_months)
        if line.unit_net is not None:
            amount += EXACT.divide(line.unit_net * pieces * months, MONTHS_YEAR)
    return amount


def amounts_of(paid: Paid, inputs: TcoInputs) -> dict[TcoPart, Decimal | None]:
    """Every part over the horizon, unrounded; None where a price or an input is missing."""
    months, kw = inputs.horizon_months, paid.it_power_kw
    hours = HOURS_MONTH * months
    mean_kw = None if kw is None or inputs.pue is None else kw * inputs.load_fraction * inputs.pue
    return {
        TcoPart.CAPITAL: None if paid.capital is None else paid.capital * _worn(inputs),
        TcoPart.FINANCING: None if paid.capital is None else paid.capital * _interest(inputs),
        TcoPart.ENERGY: _product(mean_kw, hours, inputs.electricity_price_kwh),
        TcoPart.SPACE: _product(kw, Decimal(months), inputs.space_price_kw_month),
        TcoPart.SUPPORT: paid.support,
        TcoPart.SOFTWARE: paid.software,
        TcoPart.STAFF: _product(Decimal(months) / MONTHS_YEAR, inputs.staff_price_year),
    }


def _worn(inputs: TcoInputs) -> Decimal:
    """Share of the capital that the horizon uses up: (1 - residual) x min(horizon, depreciation) / depreciation."""
    used = min(inputs.horizon_months, inputs.depreciation_months)
    return (1 - inputs.residual_fraction) * used / inputs.depreciation_months


def _interest(inputs: TcoInputs) -> Decimal:
    """Interest of an annuity over the horizon, per unit of capital: n i / (1 - (1 + i)^-n) - 1."""
    if not inputs.financing_rate_fraction:
        return Decimal(0)
    monthly, months = inputs.financing_rate_fraction / MONTHS_YEAR, inputs.horizon_months
    return months * monthly / (1 - (1 + monthly) ** -months) - 1


def _product(*factors: Decimal | None) -> Decimal | None:
    amount = Decimal(1)
    for factor in factors:
        if factor is None:
            return None
        amount *= factor
    return amount


def known_sum(amounts: Iterable[Decimal | None]) -> Decimal:
    """Sum of those that are known."""
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
