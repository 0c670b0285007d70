"""Indicative cost: what orders of magnitude the sized options come to, from a public price book; never a quote."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

import numpy as np
from numpy.typing import NDArray

from service.quoting.output import HOURS_DAY, MILLION, SECONDS_DAY, days_of, run_days, six_digits, targets_day, tokens_s
from service.quoting.prices import PriceBook, PriceLine
from service.sizing.hardware import Hardware
from service.sizing.result import SizingOption, SizingResult

TERM_MONTHS = 36
UTILISATION_FRACTION = Decimal("0.6")
_CENT = Decimal("0.01")
_CPU_SERVER = "cpu-server"
_SOFTWARE = "nvidia-ai-enterprise"
_OPTIC = "optic"
_SUPPORT = "prosupport"
_ELECTRICITY = "electricity"
# What people call parts that no catalog names.
CALLED = {_SOFTWARE: "NVIDIA AI Enterprise", _SUPPORT: "Dell ProSupport", _OPTIC: "optical modules"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One part of the cost; amounts are None where the book has no price. `included` lines make the total."""

    part: str
    name: str
    quantity: int
    unit: str
    included: bool
    unit_price_usd: Decimal | None
    total_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicativeCost:
    """What one ranked option comes to. `total_usd` is None when the server itself has no price.

    It is the sum of what has a price. Where a server has none, those without GPUs among them, the cost is not
    `complete`, and a unit of work has no cost at all: a part of the work would be taken for free.
    """

    rank: int
    indicative: bool
    price_book_name: str
    price_book_date: str
    currency: str
    total_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    lines: tuple[CostLine, ...]
    missing: tuple[str, ...]
    term_months: int
    utilisation_fraction: Decimal
    usd_per_million_tokens: Decimal | None
    usd_per_run: Decimal | None
    usd_per_target: Decimal | None
    note: str
    complete: bool = True

    @property
    def not_in_total(self) -> tuple[str, ...]:
        """Parts that the option takes and the total is without: unpriced ones, and what is paid by the year or kWh."""
        return tuple(line.part for line in self.lines if not line.included or line.total_usd is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedResult:
    """A sizing with the indicative cost of each ranked option."""

    result: SizingResult
    costs: tuple[IndicativeCost, ...]
    price_book_name: str
    price_book_date: str


def weights(hardware: Hardware, book: PriceBook) -> NDArray[np.float64]:
    """Indicative price [USD] of one server per row of `hardware.servers`; NaN where the book has none."""
    lines = (book.line(server.id) for server in hardware.servers)
    prices = [float(line.list_price_usd) if line and line.list_price_usd is not None else np.nan for line in lines]
    return np.array(prices, dtype=np.float64)


def beside_weight(hardware: Hardware, book: PriceBook) -> float:
    """Indicative price [USD] of a server without GPUs; NaN where the book has none, or the catalog no such server."""
    line = book.line(cpu_server_part(hardware))
    return math.nan if line is None or line.list_price_usd is None else float(line.list_price_usd)


def cpu_server_part(hardware: Hardware) -> str:
    """The part by which a price book prices the server that stands beside those with GPUs."""
    return next((server.id for server in hardware.cpu_servers), _CPU_SERVER)


def priced(result: SizingResult, hardware: Hardware, book: PriceBook) -> PricedResult:
    """The result with the cost of every option."""
    return PricedResult(
        result=result,
        costs=tuple(indicative_cost(option, result.kind, hardware=hardware, book=book) for option in result.options),
        price_book_name=book.name,
        price_book_date=book.date,
    )


def indicative_cost(option: SizingOption, result_kind: str, hardware: Hardware, book: PriceBook) -> IndicativeCost:
    """List cost of servers and switches, and per unit of work over a stated term at a stated utilisation."""
    names = {**_names(hardware), option.server: option.server_name}
    lines = _lines(option, book, names=names, cpu_server=cpu_server_part(hardware))
    electricity = _electricity(option, result_kind, book=book)
    lines = (*lines, *electricity)
    server = lines[0]
    known = [line for line in lines if line.included and line.total_usd is not None]
    summed = server.total_usd is not None
    total = _sum(line.total_usd for line in known) if summed else None
    unpriced = {line.part for line in lines if line.total_usd is None}
    complete = unpriced.isdisjoint({option.server, cpu_server_part(hardware)})
    whole = total if complete else None
    return IndicativeCost(
        rank=option.rank,
        indicative=book.indicative,
        price_book_name=book.name,
        price_book_date=book.date,
        currency=book.currency,
        total_usd=total,
        low_usd=_sum(line.low_usd for line in known) if summed else None,
        high_usd=_sum(line.high_usd for line in known) if summed else None,
        lines=lines,
        missing=tuple(line.part for line in lines if line.total_usd is None),
        term_months=TERM_MONTHS,
        utilisation_fraction=UTILISATION_FRACTION,
        usd_per_million_tokens=_per_million_tokens(option, result_kind, total=whole),
        usd_per_run=_per_run(option, result_kind, total=whole, energy=_sum(line.total_usd for line in electricity)),
        usd_per_target=_per_target(option, result_kind, total=whole),
        note=_note(lines, electricity),
        complete=complete,
    )


def _names(hardware: Hardware) -> dict[str, str]:
    switches = {switch.id: switch.name for switch in hardware.switches}
    return {**CALLED, **switches, **{server.id: f"{server.name}, for alignments" for server in hardware.cpu_servers}}


def _lines(option: SizingOption, book: PriceBook, *, names: Mapping[str, str], cpu_server: str) -> tuple[CostLine, ...]:
    lines = [_line(option.server, option.servers, book=book, names=names, included=True)]
    if option.facility.cpu_servers:
        lines.append(_line(cpu_server, option.facility.cpu_servers, book=book, names=names, included=True))
    switches: dict[str, int] = {}
    for part in option.network.networks:
        count = (part.leaf_switches or 0) + (part.spine_switches or 0)
        if part.switch is not None and count:
            switches[part.switch] = switches.get(part.switch, 0) + count
    lines += [_line(part, many, book=book, names=names, included=True) for part, many in switches.items()]
    optics = sum(part.optics or 0 for part in option.network.networks)
    if optics:
        lines.append(_line(_OPTIC, optics, book=book, names=names, included=True))
    lines.append(_line(_SOFTWARE, option.gpus, book=book, names=names, included=False))
    lines.append(_line(_SUPPORT, option.servers, book=book, names=names, included=False))
    lines += [
        _line(part, many, book=book, names={**names, part: name}, included=False)
        for part, name, many in _around(option)
        if many
    ]
    return tuple(lines)


def _around(option: SizingOption) -> tuple[tuple[str, str, int | None], ...]:
    """What else the option takes: that it is needed is known, what it costs seldom is."""
    built = option.facility
    return (
        ("cable", "cables of all networks", sum(part.cables or 0 for part in option.network.networks)),
        ("rack", "racks", built.racks),
        ("power-feed", "power feeds of all racks", built.feeds),
        ("coolant-unit", "coolant distribution units", built.coolant_units),
    )


def _electricity(option: SizingOption, result_kind: str, *, book: PriceBook) -> tuple[CostLine, ...]:
    """What one run takes at the meter, cooling and switches included; of a service nobody knows how long it runs."""
    days, power = run_days(option, result_kind), option.facility.facility_power_kw
    if days is None or power is None or book.line(_ELECTRICITY) is None:
        return ()
    kwh = (Decimal(repr(float(power))) * days * HOURS_DAY).to_integral_value(rounding=ROUND_CEILING)
    return (_line(_ELECTRICITY, int(kwh), book=book, names={_ELECTRICITY: "electricity of one run"}, included=False),)


def _line(part: str, quantity: int, *, book: PriceBook, names: Mapping[str, str], included: bool) -> CostLine:
    line: PriceLine | None = book.line(part)
    price = line.list_price_usd if line else None
    return CostLine(
        part=part,
        name=names.get(part, part),
        quantity=quantity,
        unit=line.unit if line else "piece",
        included=included,
        unit_price_usd=price,
        total_usd=_times(price, quantity),
        low_usd=_times(line.low_usd if line and line.low_usd is not None else price, quantity),
        high_usd=_times(line.high_usd if line and line.high_usd is not None else price, quantity),
        note=line.note if line else "the price book does not know this part",
    )


def _times(price: Decimal | None, quantity: int) -> Decimal | None:
    return None if price is None else (price * quantity).quantize(_CENT, rounding=ROUND_HALF_UP)


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount or Decimal(0) for amount in amounts), Decimal(0)).quantize(_CENT)


def _per_million_tokens(option: SizingOption, result_kind: str, *, total: Decimal | None) -> Decimal | None:
    """Total / (tokens/s x seconds of the term x utilisation) x 10^6."""
    rate = tokens_s(option, result_kind)
    if total is None or rate is None:
        return None
    tokens = rate * SECONDS_DAY * days_of(TERM_MONTHS) * UTILISATION_FRACTION
    return six_digits(total / tokens * MILLION)


def _per_run(option: SizingOption, result_kind: str, *, total: Decimal | None, energy: Decimal) -> Decimal | None:
    """Total x days of the run / days of the term that are used, and the run's electricity."""
    days = run_days(option, result_kind)
    if total is None or days is None:
        return None
    return six_digits(total * days / (days_of(TERM_MONTHS) * UTILISATION_FRACTION) + energy)


def _per_target(option: SizingOption, result_kind: str, *, total: Decimal | None) -> Decimal | None:
    """Total / (items per day x days of the term x utilisation)."""
    rate = targets_day(option, result_kind)
    if total is None or rate is None:
        return None
    return six_digits(total / (rate * days_of(TERM_MONTHS) * UTILISATION_FRACTION))


def _note(lines: tuple[CostLine, ...], electricity: tuple[CostLine, ...]) -> str:
    unpriced = [line.name for line in lines if line.total_usd is None and line.part != _SUPPORT]
    left_out = f"; not priced, though needed: {', '.join(unpriced)}" if unpriced else ""
    included = " and ".join(sorted({line.name for line in lines if line.included and line.total_usd is not None}))
    run = f"; a run with its electricity at {electricity[0].unit_price_usd} USD a kWh" if electricity else ""
    return (
        f"list prices of {included or 'nothing'}; no discount, storage, energy, space, installation or tax{left_out}; "
        f"per unit over {TERM_MONTHS} months at {UTILISATION_FRACTION} utilisation{run}"
    )
