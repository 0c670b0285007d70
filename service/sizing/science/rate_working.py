"""The working of the seconds per unit of work: a reader computes them again from coefficients, ratios and weights."""

from service.sizing.result import Quantity, WorkingStep
from service.sizing.science.application import Curve
from service.sizing.science.rate import ByLaw, ByTransfer, OnCurve, Rate, WorkSize, curve_s

_UNIT = "s"
_POLYNOMIAL = "sum of c_k x mean of size^k"
_POINTS = "between measured points, on the logarithms of size and seconds; the ends are kept"
_FITTED = "config/calibration/science.yaml"
_WEIGHTED = "exp(sum of weight x ln(seconds by one)); weights add up to one"
_LAW = (
    "fixed + (seconds on it - fixed) / (FP32 ratio ^ a x bandwidth ratio ^ b x BF16 ratio ^ c); "
    "weight by 1 / (unlikeness + 0.3)^2"
)


def rate_working(rate: Rate, size: WorkSize, *, application: str) -> tuple[WorkingStep, ...]:
    """Everything that the seconds per unit follow from, in the order in which it is computed."""
    facts = f"config/science/{application}.yaml"
    return (*_sizes(size), *_origin(rate, size, facts), _result(rate, size, facts))


def _sizes(size: WorkSize) -> tuple[WorkingStep, ...]:
    """The sizes that stand for a distribution, each as likely: tens of the probability, rounded up to a bucket."""
    if not size.slices:
        return ()
    names = (f"slice_{place}" for place in range(1, len(size.slices) + 1))
    inputs = tuple(Quantity(name=name, value=value) for name, value in zip(names, size.slices, strict=True))
    formula = "mean of as many equally likely sizes of a log-normal through mean and p95, each in its bucket"
    return (_step("mean size", size.typical, "size", formula, inputs, "service/sizing/science/folding.py"),)


def _origin(rate: Rate, size: WorkSize, facts: str) -> tuple[WorkingStep, ...]:
    if isinstance(rate.origin, ByTransfer):
        origin, transfer = rate.origin.origin, rate.origin.transfer
        factor = (
            Quantity(name=f"seconds_{transfer.from_gpu}", value=origin.unit_s),
            Quantity(name="speed_up", value=transfer.central),
            Quantity(name="speed_up_low", value=transfer.low),
            Quantity(name="speed_up_high", value=transfer.high),
        )
        name = f"seconds per unit on {transfer.to_gpu}"
        formula = f"seconds on {transfer.from_gpu} / speed-up"
        scaled = _step(name, rate.unit_s, _UNIT, formula, factor, f"{facts}: transfers ({transfer.source})")
        return (*_origin(origin, size, facts), scaled)
    if isinstance(rate.origin, ByLaw):
        return _by_law(rate.origin, size, facts)
    return () if rate.origin is None else (_on_curve(rate.origin, size, facts),)


def _on_curve(origin: OnCurve, size: WorkSize, facts: str) -> WorkingStep:
    curve = origin.curve
    formula = _POINTS if curve.points else _POLYNOMIAL
    name = f"seconds per unit on {curve.gpu}"
    return _step(name, curve_s(curve, size), _UNIT, formula, _curve_inputs(curve, size), _source(curve, facts))


def _curve_inputs(curve: Curve, size: WorkSize) -> tuple[Quantity, ...]:
    if curve.points:
        known = (Quantity(name=f"seconds_at_{at:.0f}", value=seconds) for at, seconds in curve.points)
        return (Quantity(name="size", value=size.typical), *known)
    found: list[Quantity] = []
    for power, coefficient in enumerate(curve.coefficients_s):
        if coefficient:
            found.append(Quantity(name=f"c{power}_s", value=coefficient))
            found += [Quantity(name=f"mean_size_power_{power}", value=size.moments[power])] if power else []
    return tuple(found)


def _source(curve: Curve, facts: str) -> str:
    return f"{_FITTED if curve.measured else facts}: {curve.source}" + (f" ({curve.note})" if curve.note else "")


def _by_law(origin: ByLaw, size: WorkSize, facts: str) -> tuple[WorkingStep, ...]:
    law = origin.law
    steps: list[WorkingStep] = []
    for part in origin.parts:
        curve = part.rate.origin
        steps += [_on_curve(curve, size, facts)] if isinstance(curve, OnCurve) else []
        inputs = (
            Quantity(name=f"seconds_{part.gpu}", value=part.rate.unit_s),
            Quantity(name="fixed_s", value=part.fixed_s),
            *_powers("fp32", part.fp32_ratio, law.fp32_exponent),
            *_powers("bandwidth", part.bandwidth_ratio, law.bandwidth_exponent),
            *_powers("bf16", part.bf16_ratio, law.bf16_exponent),
            Quantity(name="weight", value=part.weight_fraction),
        )
        name = f"seconds per unit by {part.gpu}"
        steps.append(_step(name, part.unit_s, _UNIT, _LAW, inputs, f"{_FITTED}: laws, else {facts} ({law.source})"))
    return tuple(steps)


def _powers(name: str, ratio: float | None, exponent: float) -> tuple[Quantity, ...]:
    """A data-sheet ratio and its exponent; nothing where the law does not use it or a figure is missing."""
    if ratio is None:
        return ()
    return Quantity(name=f"{name}_ratio", value=ratio), Quantity(name=f"{name}_exponent", value=exponent)


def _result(rate: Rate, size: WorkSize, facts: str) -> WorkingStep:
    """The line that the next one reads, with the band around it."""
    inputs = [Quantity(name="size", value=size.typical), Quantity(name="largest_size", value=size.largest)]
    formula = rate.how
    if isinstance(rate.origin, ByLaw):
        formula = f"{_WEIGHTED}; {rate.how}"
        for part in rate.origin.parts:
            inputs.append(Quantity(name=f"seconds_by_{part.gpu}", value=part.unit_s))
            inputs.append(Quantity(name=f"weight_{part.gpu}", value=part.weight_fraction))
    inputs += [Quantity(name="ln_band_down", value=rate.down), Quantity(name="ln_band_up", value=rate.up)]
    return _step("seconds per unit on one GPU", rate.unit_s, _UNIT, formula, tuple(inputs), f"{facts}: {rate.source}")


def _step(  # noqa: PLR0917 - one line of a table, read across
    name: str, value: float, unit: str, formula: str, inputs: tuple[Quantity, ...], source: str
) -> WorkingStep:
    return WorkingStep(name=name, value=value, unit=unit, formula=formula, inputs=inputs, source=source)
