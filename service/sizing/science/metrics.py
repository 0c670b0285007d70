"""What people ask of a scientific job, with intervals: items per day, seconds of one item, the template's own rates."""

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.interval import Basis, Metric, Spread, interval
from service.sizing.science.application import Template
from service.sizing.science.bound import FLOP_PARAM_TOKEN
from service.sizing.science.job import Job
from service.sizing.science.outside import far_from_scaling
from service.sizing.science.performance import Performance, Rows, items_day
from service.sizing.science.rate import RateTable
from service.sizing.science.workload import LatticeWorkload, ScienceWorkload, SequenceTrainingWorkload
from service.sizing.training.explain import Point
from service.sizing.training.explain import bottleneck as of_training
from service.sizing.units import DAY_S, MEGA, TFLOP_S

# Framework and driver take more or less of the memory: two buckets of 512 tokens at the longest.
_LENGTHS = Spread(shift=0.0, down=0.2, up=0.2)


def science_metrics(
    job: Job,
    workload: ScienceWorkload,
    *,
    rows: Rows,
    physics: Performance,
    rates: RateTable,
    row: int,
    calibration: Calibration,
    longest: float | None = None,
) -> tuple[Metric, ...]:
    """Metrics of one candidate; all follow from the time of one item and scatter with it.

    `longest` is the longest target that a GPU holds [tokens].
    """
    server = int(rows.server[row])
    rate = rates.rates[server]
    spread = Spread(shift=float(physics.shift[row]), down=float(physics.down[row]), up=float(physics.up[row]))
    basis = Basis.EXTRAPOLATED if rate is None else rate.basis
    if rows.gpus_instance[row] > 1.0 and job.application.scaling_size_atoms is not None and basis is Basis.MEASURED:
        # The curve of one GPU was measured, what several do to this size follows a law.
        basis = Basis.CALIBRATED
    if rows.gpus_instance[row] > 1.0 and far_from_scaling(job):
        basis = Basis.EXTRAPOLATED
    nearest = () if rate is None else rate.nearest
    item_s = float(physics.item_s[row])

    def metric(name: str, value: float, *, time: bool) -> Metric:
        scatter = spread if time else spread.inverted()
        return Metric(name=name, interval=interval(value, scatter), basis=basis, nearest=nearest)

    utilisation = calibration.assumption("science.utilisation_fraction")
    day = float(items_day(item_s, instances=float(rows.instances[row]), utilisation_fraction=utilisation))
    found: list[Metric] = []
    if job.coupled:
        # Days on the calendar, of which the job computes a share; the seconds are those that it computes.
        found.append(metric("elapsed_days", item_s / DAY_S / utilisation, time=True))
        found.append(metric("elapsed_s", item_s, time=True))
        found += [
            metric(name, value, time=False)
            for name, value in _coupled_rates(job, workload, item_s=item_s, gpus=float(rows.gpus_instance[row]))
        ]
        return tuple(found)
    found.append(metric(job.metric, day, time=False))
    if job.template is Template.MD:
        found.append(metric("ns_day_replica", DAY_S / item_s, time=False))
        return tuple(found)
    found.append(metric("elapsed_s", item_s - job.fixed_item_s, time=True))
    if longest is not None:
        found.append(Metric(name="max_tokens", interval=interval(longest, _LENGTHS), basis=basis, nearest=nearest))
    if job.fixed_item_s:
        found.append(metric("wall_s", item_s, time=True))
    found.append(metric("gpu_seconds_item", (item_s - job.fixed_item_s) * float(rows.gpus_instance[row]), time=True))
    return tuple(found)


def _coupled_rates(job: Job, workload: ScienceWorkload, *, item_s: float, gpus: float) -> list[tuple[str, float]]:
    """Rates while the job runs: they do not include the share of the day that is lost to faults and queues."""
    if job.arithmetic is not None:
        step = job.arithmetic
        tflops = step.step_flop * step.steps / item_s / TFLOP_S
        return [("steps_s", step.steps / item_s), ("tflops", tflops)]
    if isinstance(workload, LatticeWorkload):
        return [("mlups", workload.cells * workload.steps / item_s / MEGA), ("steps_s", workload.steps / item_s)]
    if isinstance(workload, SequenceTrainingWorkload):
        flop = FLOP_PARAM_TOKEN * workload.parameters * workload.tokens
        model_tflops = flop / item_s / gpus / TFLOP_S
        return [("tokens_s_gpu", workload.tokens / item_s / gpus), ("model_tflops_gpu", model_tflops)]
    return []


def bottleneck(
    job: Job, physics: Performance, row: int, *, gpus_server: float, gpus: int, point: Point | None = None
) -> str:
    """What binds: arithmetic, memory bandwidth or exchange of a roofline job, the host, else the GPU's own curve."""
    if point is not None:
        return of_training(point.step)
    if job.arithmetic is not None:
        parts = {
            "arithmetic": float(physics.arithmetic_s[row]),
            "memory_bandwidth": float(physics.traffic_s[row]),
            "exchange": float(physics.exchange_s[row]),
        }
        return max(parts, key=lambda name: (parts[name], name))
    if gpus_server < gpus:
        return "host"
    if job.fixed_item_s > float(physics.item_s[row]) / 2.0:
        return "host_time_per_item"
    if float(np.nan_to_num(physics.efficiency_fraction[row], nan=1.0)) < 0.5:
        return "exchange"
    return "gpu"
