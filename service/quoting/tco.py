"""Total cost of ownership over a horizon: parts with their arithmetic, costs per unit of work, and what moves them."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from service.quoting.currency import rounded
from service.quoting.output import (
    HOURS_DAY,
    MILLION,
    SECONDS_DAY,
    days_of,
    run_days,
    six_digits,
    targets_day,
    tokens_s,
    working_gpus,
)
from service.quoting.ownership import HOURS_MONTH, Paid, TcoPart, amounts_of, known_sum, paid_by
from service.quoting.pricing import Priced
from service.quoting.quantities import number, short, shown
from service.quoting.sensitivity import TcoSensitivity, sensitivity
from service.quoting.tco_inputs import TcoInputs, check_inputs
from service.sizing.result import SizingOption


@dataclass(frozen=True, slots=True, kw_only=True)
class TcoAmount:
    """One part over the horizon; None where an input or a price that it needs is `missing`."""

    part: TcoPart
    amount: Decimal | None
    why: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcoFigure:
    """The cost of one `unit`, with all that it stands on: horizon, utilisation, and the parts that are not in it."""

    unit: str
    amount: Decimal | None
    horizon_months: int
    utilisation_fraction: Decimal
    without: tuple[TcoPart, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudComparison:
    """The same GPU-hours at the user's cloud prices. `break_even_utilisation_fraction` is where both cost the same."""

    name: str
    date: str
    gpu: str
    reserved: bool
    gpu_hour: Decimal | None
    amount: Decimal | None
    difference: Decimal | None
    break_even_utilisation_fraction: Decimal | None
    horizon_months: int
    utilisation_fraction: Decimal
    without: tuple[TcoPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedFigure:
    """A public figure that may help to fill in an input; nothing is computed with it."""

    id: str
    about: str
    statement: str
    date: str
    basis: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tco:
    """`total` is the sum of the parts that are known, None without the capital; `missing` names the others."""

    currency: str
    inputs: TcoInputs
    pue: Decimal
    parts: tuple[TcoAmount, ...]
    total: Decimal | None
    complete: bool
    missing: tuple[TcoPart, ...]
    figures: tuple[TcoFigure, ...]
    cloud: CloudComparison | None
    sensitivity: tuple[TcoSensitivity, ...]
    context: tuple[CitedFigure, ...]


def tco(
    priced: Priced, option: SizingOption, *, kind: str, inputs: TcoInputs, context: tuple[CitedFigure, ...] = ()
) -> Tco:
    """What the quoted option costs to own. `kind` is that of the workload. InvalidRequestError names a wrong input."""
    check_inputs(inputs)
    currency = priced.totals.currency
    inputs = inputs if inputs.pue is not None else dataclasses.replace(inputs, pue=number(option.facility.pue))
    paid = paid_by(priced, option, inputs)
    amounts = {part: None if raw is None else rounded(raw, currency) for part, raw in amounts_of(paid, inputs).items()}
    missing = tuple(part for part, amount in amounts.items() if amount is None)
    total = None if amounts[TcoPart.CAPITAL] is None else known_sum(amounts.values())
    return Tco(
        currency=currency,
        inputs=inputs,
        pue=inputs.pue or Decimal(1),
        parts=tuple(_told(part, amount, paid, inputs) for part, amount in amounts.items()),
        total=total,
        complete=not missing,
        missing=missing,
        figures=tuple(_figures(total, option, kind, inputs=inputs, without=missing)),
        cloud=_cloud(total, option, inputs, currency=currency, without=missing),
        sensitivity=sensitivity(paid, option, inputs),
        context=context,
    )


def _told(part: TcoPart, amount: Decimal | None, paid: Paid, inputs: TcoInputs) -> TcoAmount:
    missing = [f"price of {name}" for name in paid.unpriced.get(part, ())]
    if part is TcoPart.FINANCING and paid.capital is None:
        missing = ["capital"]
    needs = {TcoPart.ENERGY: "electricity_price_kwh", TcoPart.SPACE: "space_price_kw_month"}
    needs |= {TcoPart.STAFF: "staff_price_year"}
    if part in needs and getattr(inputs, needs[part]) is None:
        missing.append(needs[part])
    if part in {TcoPart.ENERGY, TcoPart.SPACE} and paid.it_power_kw is None:
        missing.append("facility.it_power_kw")
    return TcoAmount(part=part, amount=amount, why=_why(part, paid, inputs), missing=tuple(missing))


def _why(part: TcoPart, paid: Paid, inputs: TcoInputs) -> str:
    months, kw = inputs.horizon_months, short(paid.it_power_kw)
    rate = inputs.financing_rate_fraction
    texts = {
        TcoPart.CAPITAL: f"all charges of once x (1 - {shown(inputs.residual_fraction)} residual value), written off "
        f"over {inputs.depreciation_months} months, of which the horizon has {months}",
        TcoPart.FINANCING: "bought outright: no financing rate was given"
        if rate is None
        else f"interest of an annuity at {shown(rate)} a year over {months} months",
        TcoPart.ENERGY: f"{kw} kW x {shown(inputs.load_fraction)} mean load x PUE {short(inputs.pue)} x "
        f"{shown(HOURS_MONTH)} h x {months} months x {shown(inputs.electricity_price_kwh)} a kWh",
        TcoPart.SPACE: f"{kw} kW x {months} months x {shown(inputs.space_price_kw_month)} a kW and month",
        TcoPart.SUPPORT: f"yearly support charges of the quote x {months} / 12",
        TcoPart.SOFTWARE: f"yearly software charges of the quote x {months} / 12, less what is included",
        TcoPart.STAFF: f"{shown(inputs.staff_price_year)} a year x {months} / 12",
    }
    return texts[part]


def _figures(
    total: Decimal | None, option: SizingOption, kind: str, *, inputs: TcoInputs, without: tuple[TcoPart, ...]
) -> Iterable[TcoFigure]:
    used = days_of(inputs.horizon_months) * inputs.utilisation_fraction
    stated = f"{inputs.horizon_months} months x {shown(inputs.utilisation_fraction)} utilisation"
    gpus = working_gpus(option)
    rate, days, targets = tokens_s(option, kind), run_days(option, kind), targets_day(option, kind)
    units = {"gpu_hour": (gpus * HOURS_DAY * used, f"{gpus:,} GPUs at work x {stated}")}
    if rate is not None:
        units["million_tokens"] = (rate * SECONDS_DAY * used / MILLION, f"{short(rate)} tokens/s x {stated}")
    if days is not None:
        units["run"] = (used / days, f"one run takes {short(days)} days of {stated}")
    if targets is not None:
        units["target"] = (targets * used, f"{short(targets)} a day x {stated}")
    for unit, (pieces, why) in units.items():
        yield TcoFigure(
            unit=unit,
            amount=None if total is None else six_digits(total / pieces),
            horizon_months=inputs.horizon_months,
            utilisation_fraction=inputs.utilisation_fraction,
            without=without,
            why=why,
        )


def _cloud(
    total: Decimal | None, option: SizingOption, inputs: TcoInputs, *, currency: str, without: tuple[TcoPart, ...]
) -> CloudComparison | None:
    cloud = inputs.cloud
    if cloud is None:
        return None
    price = cloud.gpu_hour.get(option.gpu)
    hours = working_gpus(option) * HOURS_MONTH * inputs.horizon_months
    paid_share = Decimal(1) if cloud.reserved else inputs.utilisation_fraction
    amount = None if price is None else rounded(price * hours * paid_share, currency)
    even = None if cloud.reserved or price is None or total is None else total / (price * hours)
    return CloudComparison(
        name=cloud.name,
        date=cloud.date,
        gpu=option.gpu,
        reserved=cloud.reserved,
        gpu_hour=price,
        amount=amount,
        difference=None if amount is None or total is None else amount - total,
        break_even_utilisation_fraction=None if even is None else six_digits(even),
        horizon_months=inputs.horizon_months,
        utilisation_fraction=inputs.utilisation_fraction,
        without=without,
    )
