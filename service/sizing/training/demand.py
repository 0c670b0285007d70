"""What a training asks of storage and network: checkpoints, data set, and the bytes that a GPU sends in a step."""

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.result import Quantity, StoragePlan
from service.sizing.storage import training_storage
from service.sizing.training.explain import Point
from service.sizing.training.traffic import traffic_of
from service.sizing.units import DAY_S, GB, GB_S, HOUR_S, MINUTE_S, TB

# Bytes of one token as data sets keep it, of vocabularies beyond 65,536 entries.
_TOKEN_BYTES = 4.0


def storage_plan(point: Point, calibration: Calibration) -> StoragePlan:
    """Capacity and rates of the storage."""
    job, get = point.job, calibration.assumption
    dataset_tb = job.workload.dataset_tb
    return training_storage(
        dataset_bytes=None if dataset_tb is None else dataset_tb * TB,
        trained_params=job.trained_params,
        checkpoints_kept=int(get("training.checkpoints_kept")),
        interval_s=job.interval_s,
        stall_fraction=point.checkpoint_write_s / job.interval_s,
        gpus=point.gpus,
        read_bytes_s_gpu=get("training.dataset_read_gb_s_gpu") * GB_S,
    )


def run_demands(point: Point, *, facility_power_kw: float | None) -> tuple[Quantity, ...]:
    """Checkpoints, time and energy of the run, and traffic by parallel axis; None where the power is unknown."""
    job = point.job
    best = job.goodput(point.layouts.gpus, point.step.total, interval_s=point.best_interval_s)
    hours = point.days * DAY_S / HOUR_S
    return (
        Quantity(name="steps", value=job.steps),
        Quantity(name="effective_training_days", value=job.steps * point.step_s / DAY_S),
        Quantity(name="checkpoint_size_gb", value=job.checkpoint_bytes / GB),
        Quantity(name="checkpoint_write_s", value=point.checkpoint_write_s),
        Quantity(name="checkpoint_write_gb_s", value=job.checkpoint_bytes / point.checkpoint_write_s / GB_S),
        Quantity(name="checkpoint_interval_min", value=job.workload.checkpoint_interval_min),
        Quantity(name="checkpoint_best_interval_min", value=point.best_interval_s / MINUTE_S),
        Quantity(name="goodput_best_interval_fraction", value=float(best.fraction[0])),
        Quantity(name="dataset_read_gb_s", value=point.tokens_s * _TOKEN_BYTES / GB_S),
        Quantity(name="facility_energy_kwh", value=None if facility_power_kw is None else facility_power_kw * hours),
        *_traffic(point),
    )


def _traffic(point: Point) -> tuple[Quantity, ...]:
    """Gigabytes that a GPU sends in a step, by axis; axes of one rank send nothing and are left out."""
    found = traffic_of(point.job, point.layouts)
    sent = ((name, float(np.atleast_1d(getattr(found, name))[0])) for name in type(found).__dataclass_fields__)
    return tuple(Quantity(name=f"{name}_traffic_gb", value=size / GB) for name, size in sent if size > 0.0)
