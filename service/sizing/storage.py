"""Capacity and bandwidth of the storage that a workload asks for; bytes and seconds in, TB and GB/s out."""

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.result import StoragePlan
from service.sizing.table import FloatArray
from service.sizing.units import DAY_S, GB_S, TB

# Bytes of a full training state per parameter: BF16 weights 2, FP32 master weights 4, two Adam moments 8.
FULL_STATE_BYTES_PARAM = 14.0


def checkpoint_bytes(params: Numeric, *, bytes_param: float = FULL_STATE_BYTES_PARAM) -> FloatArray:
    """Size [bytes] of one checkpoint of `params` trained parameters; 13-14 bytes each for the full state."""
    return np.asarray(params * bytes_param, dtype=np.float64)


def checkpoint_write_bytes_s(size_bytes: Numeric, *, interval_s: float, stall_fraction: float) -> FloatArray:
    """Write rate [bytes/s] so that writing takes at most `stall_fraction` of the interval between checkpoints."""
    return np.asarray(size_bytes / (interval_s * stall_fraction), dtype=np.float64)


def model_load_bytes_s(weights_bytes: Numeric, *, servers: Numeric, load_s: float) -> FloatArray:
    """Read rate [bytes/s] so that every server loads the weights within `load_s` of a cold start."""
    return np.asarray(weights_bytes * servers / load_s, dtype=np.float64)


def inference_storage(*, weights_bytes: float, versions: int, servers: int, load_s: float) -> StoragePlan:
    """The model store: `versions` of the weights, read by all servers at a cold start."""
    read = float(model_load_bytes_s(weights_bytes, servers=servers, load_s=load_s))
    return StoragePlan(
        capacity_tb=weights_bytes * versions / TB,
        read_gb_s=read / GB_S,
        write_gb_s=None,
        note=f"model store: {versions} versions of the weights; all servers load them within {load_s:g} s",
    )


def training_storage(
    *,
    dataset_bytes: float | None,
    trained_params: float,
    checkpoints_kept: int,
    interval_s: float,
    stall_fraction: float,
    gpus: int,
    read_bytes_s_gpu: float,
) -> StoragePlan:
    """Dataset and the newest checkpoints; written within a share of the interval, read at a rate per GPU."""
    one = float(checkpoint_bytes(trained_params))
    write = float(checkpoint_write_bytes_s(one, interval_s=interval_s, stall_fraction=stall_fraction))
    known = "" if dataset_bytes is not None else "; the data set is not included, its size was not given"
    return StoragePlan(
        capacity_tb=((dataset_bytes or 0.0) + one * checkpoints_kept) / TB,
        read_gb_s=gpus * read_bytes_s_gpu / GB_S,
        write_gb_s=write / GB_S,
        note=f"{checkpoints_kept} checkpoints of {one / TB:.3g} TB ({FULL_STATE_BYTES_PARAM:g} bytes a parameter), "
        f"each written in {stall_fraction:.0%} of the interval{known}",
    )


def science_storage(
    *,
    database_bytes: float,
    input_bytes_day: float,
    output_bytes_day: float,
    retention_days: float,
    unknown: tuple[str, ...],
) -> StoragePlan:
    """Databases, inputs and outputs of `retention_days`; what nobody published is named, not guessed."""
    daily = input_bytes_day + output_bytes_day
    missing = f"; not included because unpublished: {', '.join(unknown)}" if unknown else ""
    return StoragePlan(
        capacity_tb=(database_bytes + daily * retention_days) / TB,
        read_gb_s=input_bytes_day / DAY_S / GB_S if input_bytes_day else None,
        write_gb_s=output_bytes_day / DAY_S / GB_S if output_bytes_day else None,
        note=f"databases once, inputs and outputs kept {retention_days:g} days; rates are daily means{missing}",
    )
