"""Which inputs of a total cost of ownership move the cost of a GPU-hour most."""

import dataclasses
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.quoting.output import six_digits, working_gpus
from service.quoting.ownership import HOURS_MONTH, Paid, amounts_of, known_sum
from service.quoting.tco_inputs import FACTORS, RANGES, TcoInputs
from service.sizing.result import SizingOption

TOLD_SENSITIVITIES = 5
_NUDGE = Decimal("0.1")
_FACTOR_FIELDS = dict(zip(FACTORS, ("capital", "software", "support"), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class TcoSensitivity:
    """What a GPU-hour costs when one input moves between two values."""

    input: str
    low: Decimal
    high: Decimal
    gpu_hour_at_low: Decimal
    gpu_hour_at_high: Decimal


def sensitivity(paid: Paid, option: SizingOption, inputs: TcoInputs) -> tuple[TcoSensitivity, ...]:
    """The inputs that move the cost of a GPU-hour most, each by 10 % to either side or between its stated bounds."""
    if paid.capital is None:
        return ()
    found = []
    for name in (*RANGES, *FACTORS):
        value = Decimal(1) if name in FACTORS else getattr(inputs, name)
        if value is None:
            continue
        low, high = inputs.bounds.get(name) or _nudged(name, value)
        at_low, at_high = (_gpu_hour(paid, option, inputs, name=name, value=end) for end in (low, high))
        if at_low != at_high:
            found.append(
                TcoSensitivity(input=name, low=low, high=high, gpu_hour_at_low=at_low, gpu_hour_at_high=at_high)
            )
    found.sort(key=lambda moved: (-abs(moved.gpu_hour_at_high - moved.gpu_hour_at_low), moved.input))
    return tuple(found[:TOLD_SENSITIVITIES])


def _nudged(name: str, value: Decimal) -> tuple[Decimal, Decimal]:
    least, most = RANGES.get(name, (Decimal(0), value * 2))
    return max(least, value * (1 - _NUDGE)), min(most, value * (1 + _NUDGE))


def _gpu_hour(paid: Paid, option: SizingOption, inputs: TcoInputs, *, name: str, value: Decimal) -> Decimal:
    if name in FACTORS:
        moved = _FACTOR_FIELDS[name]
        amount = getattr(paid, moved)
        factored: dict[str, Any] = {moved: None if amount is None else amount * value}
        paid = dataclasses.replace(paid, **factored)
    else:
        changed: dict[str, Any] = {name: value}
        inputs = dataclasses.replace(inputs, **changed)
    hours = working_gpus(option) * HOURS_MONTH * inputs.horizon_months * inputs.utilisation_fraction
    return six_digits(known_sum(amounts_of(paid, inputs).values()) / hours)
