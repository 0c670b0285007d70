"""What an option puts out, as a price per unit divides by it: tokens, runs, targets, hours of GPUs."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from service.sizing.kind import Kind
from service.sizing.result import SizingOption
from service.sizing.science.option import PLANNED_MOST

DAYS_MONTH = Decimal("30.4375")
HOURS_DAY = Decimal(24)
SECONDS_DAY = Decimal(86_400)
MILLION = Decimal(1_000_000)
_PER_DAY_SUFFIX = "_day"
# What a token price divides by: the first of these metrics that an option has.
_TOKEN_METRICS = ("total_tokens_s", "output_tokens_s", "tokens_s")
_RUN_METRICS = ("time_to_train_days", "elapsed_days")


def working_gpus(option: SizingOption) -> int:
    """GPUs that do the work: those of spare servers cost money and do none."""
    return option.gpus // option.servers * (option.servers - option.spare_servers)


def tokens_s(option: SizingOption, kind: str) -> Decimal | None:
    """Median tokens per second of a service; None of any other kind of work."""
    return _median(option, _TOKEN_METRICS) if kind == Kind.INFERENCE else None


def run_days(option: SizingOption, kind: str) -> Decimal | None:
    """Median days of one run without a pause; None of a service."""
    days = _median(option, _RUN_METRICS) if kind != Kind.INFERENCE else None
    return days if days is None or kind != Kind.SCIENCE else days * _planned(option)


def targets_day(option: SizingOption, kind: str) -> Decimal | None:
    """Median units of scientific work in a day without a pause; None of any other kind of work."""
    if kind != Kind.SCIENCE:
        return None
    names = tuple(metric.name for metric in option.metrics if metric.name.endswith(_PER_DAY_SUFFIX))
    rate = _median(option, names[:1])
    return None if rate is None else rate / _planned(option)


def _planned(option: SizingOption) -> Decimal:
    """Share of the day that the figures of a scientific option count; a price counts its own share, and one only."""
    planned = {one.name: one.value for one in option.utilisation}.get(PLANNED_MOST)
    return Decimal(repr(float(planned))) if planned else Decimal(1)


def days_of(months: int) -> Decimal:
    """Days of so many mean months."""
    return DAYS_MONTH * months


def six_digits(amount: Decimal) -> Decimal:
    """Six significant digits: more would pretend to know."""
    if not amount:
        return amount
    return amount.quantize(Decimal(1).scaleb(amount.adjusted() - 5), rounding=ROUND_HALF_UP)


def _median(option: SizingOption, names: tuple[str, ...]) -> Decimal | None:
    by_name = {metric.name: metric.interval.p50 for metric in option.metrics}
    for name in names:
        value = by_name.get(name)
        if value is not None and np.isfinite(value) and value > 0:
            return Decimal(repr(float(value)))
    return None
