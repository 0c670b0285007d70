"""The working of a scientific option: each quantity, its formula, its inputs and where they are from."""

import math
from dataclasses import dataclass, replace

from service.sizing.calibration import Calibration
from service.sizing.result import Quantity, WorkingStep
from service.sizing.science.arithmetic import peak_flop_s
from service.sizing.science.efficiency_working import efficiency_working
from service.sizing.science.job import Job
from service.sizing.science.performance import Performance, Rows, items_day
from service.sizing.science.rate import RateTable
from service.sizing.science.rate_working import rate_working
from service.sizing.table import HardwareTable
from service.sizing.training.explain import Point
from service.sizing.training.working import candidate_working
from service.sizing.units import DAY_S, GB, GB_S, TFLOP_S

_ASSUMPTIONS = "config/assumptions.yaml"
_METHOD = "service/sizing/science/METHOD.md"
_UTILISATION = "science.utilisation_fraction"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answer:
    """The candidate of `row` with all that its figures follow from."""

    job: Job
    rows: Rows
    physics: Performance
    rates: RateTable
    table: HardwareTable
    row: int
    calibration: Calibration


def science_working(
    job: Job,
    *,
    rows: Rows,
    physics: Performance,
    rates: RateTable,
    table: HardwareTable,
    row: int,
    servers: int | None,
    calibration: Calibration,
    point: Point | None = None,
) -> tuple[WorkingStep, ...]:
    """Lines in the order in which they are computed."""
    server = int(rows.server[row])
    instances, item_s = float(rows.instances[row]), float(physics.item_s[row])
    utilisation = calibration.assumption(_UTILISATION)
    answer = _Answer(job=job, rows=rows, physics=physics, rates=rates, table=table, row=row, calibration=calibration)
    steps = [
        *_item_steps(answer, point),
        _step(
            "items per day",
            float(items_day(item_s, instances=instances, utilisation_fraction=utilisation)),
            "1/day",
            "instances x 86,400 x utilisation / seconds of an item",
            (("instances", instances), ("utilisation_fraction", utilisation), ("day_s", DAY_S)),
            f"{_ASSUMPTIONS}: {_UTILISATION}",
        ),
    ]
    if job.coupled:
        steps.append(
            _step(
                "elapsed_days",
                item_s / DAY_S / utilisation,
                "days",
                "elapsed_s (seconds that the job computes) / 86,400 / utilisation: days on the calendar, with queues, "
                "faults and restarts",
                (("elapsed_s", item_s), ("utilisation_fraction", utilisation)),
                f"{_ASSUMPTIONS}: {_UTILISATION}",
            )
        )
    if physics.least_s[row] > 0.0:
        steps.append(
            _step(
                "least seconds of one item",
                float(physics.least_s[row]),
                "s",
                "all FLOP at the dense peak, all bytes at the bandwidth of the data sheet, of a training at the best "
                "measured products; no quantile of the interval is under it",
                (("gpus_instance", float(rows.gpus_instance[row])),),
                "service/sizing/science/bound.py; config/hardware/gpus.yaml",
            )
        )
    if physics.trained is None:
        steps.append(_memory_step(answer))
    if servers is not None and job.demand_day is not None:
        steps.append(
            _step(
                "servers",
                float(servers),
                "servers",
                "demand / items per day at the asked confidence / instances per server, rounded up",
                (("demand_day", job.demand_day), ("gpus_server", float(table.gpus_server[server]))),
                "service/sizing/science/search.py",
            )
        )
    return tuple(steps)


def _item_steps(answer: _Answer, point: Point | None) -> list[WorkingStep]:
    """Seconds of one item, and all that they follow from."""
    job, rows, physics, rates, row = answer.job, answer.rows, answer.physics, answer.rates, answer.row
    server, gpus = int(rows.server[row]), float(rows.gpus_instance[row])
    rate = rates.rates[server]
    units = () if rate is None or rate.origin is None else rate_working(rate, job.size, application=job.application.id)
    if job.arithmetic is not None:
        return _roofline_steps(answer)
    if point is not None:
        return _trained_steps(answer, point, units=units)
    return [
        *units,
        *efficiency_working(job, rows=rows, physics=physics, rates=rates, table=answer.table, row=row),
        _step(
            "seconds of one item",
            float(physics.item_s[row]),
            "s",
            "units x seconds per unit x factor / (GPUs x efficiency) + fixed",
            (
                ("units", job.units_item),
                ("seconds_unit", None if rate is None else rate.unit_s),
                ("time_factor", job.time_factor),
                ("gpus_instance", gpus),
                ("efficiency_fraction", _finite(physics.efficiency_fraction[row])),
                ("fixed_s", job.fixed_item_s),
            ),
            _METHOD,
        ),
    ]


def _trained_steps(answer: _Answer, point: Point, *, units: tuple[WorkingStep, ...]) -> list[WorkingStep]:
    """What the training engine says, then what was measured over it."""
    job, physics, row = answer.job, answer.physics, answer.row
    trained = physics.trained
    assert trained is not None
    training = trained.job
    factor = next(step.value for step in reversed(units)) if units else None
    return [
        *candidate_working(point, answer.calibration),
        _step(
            "seconds of the training by the engine",
            float(trained.whole_s[row]),
            "s",
            "optimizer steps x seconds of a step; steps = tokens / tokens of a step, rounded up",
            (
                ("tokens", training.workload.tokens),
                ("step_tokens", training.step_tokens),
                ("steps", training.steps),
                ("step_time_s", point.step_s),
            ),
            "service/sizing/training/METHOD.md",
        ),
        *(
            replace(step, name=step.name.replace("seconds per unit", "measured over predicted"), unit="")
            for step in units
        ),
        _step(
            "seconds of one item",
            float(physics.item_s[row]),
            "s",
            "seconds by the engine x measured over predicted x parameters asked for over those of the layer list x "
            "padding",
            (
                ("engine_s", float(trained.whole_s[row])),
                ("measured_over_predicted", factor if isinstance(factor, float) else None),
                ("parameters_ratio", job.units_item),
                ("time_factor", job.time_factor),
            ),
            _METHOD,
        ),
    ]


def _memory_step(answer: _Answer) -> WorkingStep:
    job, rows, physics, row = answer.job, answer.rows, answer.physics, answer.row
    law = job.application.memory
    return _step(
        "memory of the fullest GPU",
        float(physics.memory_bytes[row]) / GB,
        "GB",
        "(base + bytes x largest size ^ power) / GPUs that share it",
        (
            ("base_gb", None if law is None else law.base_gb),
            ("size_bytes", None if law is None else law.size_bytes),
            ("power", None if law is None else law.power),
            ("all_gb", job.memory_bytes / GB),
            ("gpus_instance", float(rows.gpus_instance[row])),
            ("usable_gb", float(physics.usable_bytes[row]) / GB),
        ),
        f"config/science/{job.application.id}.yaml" if job.arithmetic is None else "workload.resident_gb",
    )


def _roofline_steps(answer: _Answer) -> list[WorkingStep]:
    job, rows, physics, table, row = answer.job, answer.rows, answer.physics, answer.table, answer.row
    step = job.arithmetic
    assert step is not None
    server, gpus = int(rows.server[row]), float(rows.gpus_instance[row])
    rate = answer.rates.rates[server]
    reached = None if job.variant is None or rate is None else 1.0 / rate.unit_s
    inside = gpus <= float(table.scale_up_gpus[server])
    link = (table.scale_up_bytes_s if inside else table.scale_out_bytes_s)[server]
    efficiency = {
        name: answer.calibration.assumption(f"science.{name}_efficiency_fraction")
        for name in ("flop", "bandwidth", "link")
    }
    source = f"{_ASSUMPTIONS}; config/hardware/gpus.yaml: {table.gpus[server].id}"
    common = (("steps", step.steps), ("gpus_instance", gpus))
    return [
        _step(
            "arithmetic of the run",
            _finite(physics.arithmetic_s[row]),
            "s",
            "steps x FLOP of a step / (GPUs x efficiency x dense peak)",
            (
                *common,
                ("step_flop", step.step_flop),
                ("peak_tflops", _finite(peak_flop_s(table, step.precision)[server] / TFLOP_S)),
                ("flop_efficiency_fraction", efficiency["flop"] if reached is None else reached),
            ),
            source,
        ),
        _step(
            "memory traffic of the run",
            _finite(physics.traffic_s[row]),
            "s",
            "steps x bytes of a step / (GPUs x efficiency x bandwidth)",
            (
                *common,
                ("step_bytes", step.step_bytes),
                ("bandwidth_gb_s", _finite(table.bandwidth_bytes_s[server] / GB_S)),
                ("bandwidth_efficiency_fraction", efficiency["bandwidth"]),
            ),
            source,
        ),
        _step(
            "exchange of the run",
            _finite(physics.exchange_s[row]),
            "s",
            "steps x halo bytes / (efficiency x link); none on one GPU",
            (
                *common,
                ("halo_bytes", step.halo_bytes),
                ("link_gb_s", _finite(link / GB_S)),
                ("link_efficiency_fraction", efficiency["link"]),
            ),
            source,
        ),
        _step(
            "seconds of one item",
            float(physics.item_s[row]),
            "s",
            "the larger of arithmetic and memory traffic, + exchange",
            (
                ("arithmetic_s", _finite(physics.arithmetic_s[row])),
                ("traffic_s", _finite(physics.traffic_s[row])),
                ("exchange_s", _finite(physics.exchange_s[row])),
            ),
            _METHOD,
        ),
    ]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _step(  # noqa: PLR0917 - one line of a table, read across
    name: str,
    value: float | None,
    unit: str,
    formula: str,
    inputs: tuple[tuple[str, float | None], ...],
    source: str,
) -> WorkingStep:
    return WorkingStep(
        name=name,
        value=value,
        unit=unit,
        formula=formula,
        inputs=tuple(Quantity(name=n, value=v) for n, v in inputs),
        source=source,
    )
