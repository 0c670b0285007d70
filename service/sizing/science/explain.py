"""The working of a scientific option: each quantity, its formula, its inputs and where they are from."""

import math

from service.sizing.calibration import Calibration
from service.sizing.result import Quantity, WorkingStep
from service.sizing.science.job import Job
from service.sizing.science.performance import Performance, Rows, items_day
from service.sizing.science.rates import RateTable
from service.sizing.table import HardwareTable
from service.sizing.units import DAY_S, GB

_ASSUMPTIONS = "config/assumptions.yaml"
_NOTES = "method notes in config/science"


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
) -> tuple[WorkingStep, ...]:
    """Lines in the order in which they are computed."""
    server = int(rows.server[row])
    rate = rates.rates[server]
    utilisation = calibration.assumption("science.utilisation_fraction")
    gpus, instances = float(rows.gpus_instance[row]), float(rows.instances[row])
    item_s = float(physics.item_s[row])
    steps: list[WorkingStep] = []
    if job.arithmetic is not None:
        steps += _roofline_steps(job, physics, row)
    elif rate is not None:
        steps.append(
            _step(
                "seconds per unit on one GPU",
                rate.unit_s,
                "s",
                f"{rate.how}; ln band -{rate.down:.3g}/+{rate.up:.3g}",
                (("size", job.size.typical), ("largest_size", job.size.largest)),
                f"config/science/{job.application.id}.yaml: {rate.source}",
            )
        )
    steps.append(
        _step(
            "seconds of one item",
            item_s,
            "s",
            "units x seconds per unit x factor / (GPUs x efficiency) + fixed",
            (
                ("units", job.units_item),
                ("time_factor", job.time_factor),
                ("gpus_instance", gpus),
                ("efficiency_fraction", _finite(physics.efficiency_fraction[row])),
                ("fixed_s", job.fixed_item_s),
            ),
            _NOTES,
        )
    )
    steps.append(
        _step(
            "items per day",
            float(items_day(item_s, instances=instances, utilisation_fraction=utilisation)),
            "1/day",
            "instances x 86,400 x utilisation / seconds of an item",
            (("instances", instances), ("utilisation_fraction", utilisation), ("day_s", DAY_S)),
            f"{_ASSUMPTIONS}: science.utilisation_fraction",
        )
    )
    if job.coupled:
        steps.append(
            _step(
                "elapsed_days",
                item_s / DAY_S / utilisation,
                "days",
                "elapsed_s (seconds that the job computes) / 86,400 / utilisation: days on the calendar, with queues, "
                "faults and restarts",
                (("elapsed_s", item_s), ("utilisation_fraction", utilisation)),
                f"{_ASSUMPTIONS}: science.utilisation_fraction",
            )
        )
    steps.append(
        _step(
            "memory of the fullest GPU",
            float(physics.memory_bytes[row]) / GB,
            "GB",
            "memory law at the largest size / GPUs that share it",
            (("usable_gb", float(physics.usable_bytes[row]) / GB),),
            f"config/science/{job.application.id}.yaml" if job.arithmetic is None else "workload.resident_gb",
        )
    )
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


def _roofline_steps(job: Job, physics: Performance, row: int) -> list[WorkingStep]:
    step = job.arithmetic
    if step is None:
        return []
    source = f"{_ASSUMPTIONS}; data sheet of the GPU"
    formula = "steps x max(FLOP / (efficiency x peak), bytes / (efficiency x bandwidth)) / GPUs + steps x halo / link"
    inputs = (
        ("steps", step.steps),
        ("step_flop", step.step_flop),
        ("step_bytes", step.step_bytes),
        ("halo_bytes", step.halo_bytes),
    )
    return [
        _step("arithmetic of the run", _finite(physics.arithmetic_s[row]), "s", formula, inputs, source),
        _step("memory traffic of the run", _finite(physics.traffic_s[row]), "s", formula, inputs, source),
        _step("exchange of the run", _finite(physics.exchange_s[row]), "s", formula, inputs, source),
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
