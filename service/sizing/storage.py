"""Storage that a workload asks for, by use: capacity and bandwidth; bytes and seconds in, TB and GB/s out."""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.result import StoragePlan, StorageStage
from service.sizing.spoken import spoken
from service.sizing.table import FloatArray
from service.sizing.units import DAY_S, GB_S, TB

# Bytes of a full training state per parameter: BF16 weights 2, FP32 master weights 4, two Adam moments 8.
FULL_STATE_BYTES_PARAM = 14.0
# A residue or a base is a letter.
LETTER_BYTES = 1.0
# Checkpoint in use and the one before it, for a roll-back.
VERSIONS_KEPT = 2
SHARED, IN_SERVER = "shared", "server"
DATASET = "dataset"
_AS_GIVEN = "as given"
_ASSUMPTIONS = "config/assumptions.yaml"


def checkpoint_bytes(params: Numeric, *, bytes_param: float = FULL_STATE_BYTES_PARAM) -> FloatArray:
    """Size [bytes] of one checkpoint of `params` trained parameters; 13-14 bytes each for the full state."""
    return np.asarray(params * bytes_param, dtype=np.float64)


def checkpoint_write_bytes_s(size_bytes: Numeric, *, interval_s: float, stall_fraction: float) -> FloatArray:
    """Write rate [bytes/s] so that writing takes at most `stall_fraction` of the interval between checkpoints."""
    return np.asarray(size_bytes / (interval_s * stall_fraction), dtype=np.float64)


def model_load_bytes_s(weights_bytes: Numeric, *, servers: Numeric, load_s: float) -> FloatArray:
    """Read rate [bytes/s] so that every server loads the weights within `load_s` of a cold start."""
    return np.asarray(weights_bytes * servers / load_s, dtype=np.float64)


def stage(  # noqa: PLR0917 - one line of a table, read across
    name: str,
    capacity_bytes: float | None,
    read_bytes_s: float | None,
    write_bytes_s: float | None,
    rule: str,
    source: str,
    *,
    place: str = SHARED,
) -> StorageStage:
    """One use of storage, in human units."""
    return StorageStage(
        stage=name,
        place=place,
        capacity_tb=None if capacity_bytes is None else capacity_bytes / TB,
        read_gb_s=None if read_bytes_s is None else read_bytes_s / GB_S,
        write_gb_s=None if write_bytes_s is None else write_bytes_s / GB_S,
        rule=rule,
        source=source,
    )


def staged(stages: tuple[StorageStage, ...], *, note: str) -> StoragePlan:
    """The plan of several uses: capacities and rates of the shared ones add up; what is unknown adds nothing."""
    shared = [one for one in stages if one.place == SHARED]
    return StoragePlan(
        capacity_tb=math.fsum(one.capacity_tb or 0.0 for one in shared),
        read_gb_s=_sum([one.read_gb_s for one in shared]),
        write_gb_s=_sum([one.write_gb_s for one in shared]),
        note=note,
        stages=stages,
    )


def _sum(rates: list[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return math.fsum(known) if known else None


# The same for every question that comes to so many servers with a model.
@lru_cache(maxsize=4096)
def inference_storage(*, weights_bytes: float, versions: int, servers: int, load_s: float) -> StoragePlan:
    """The model store: `versions` of the weights, read by all servers at a cold start."""
    read = float(model_load_bytes_s(weights_bytes, servers=servers, load_s=load_s))
    rule = f"{versions} versions of the weights; all {servers} servers load one within {spoken(load_s)} s"
    store = stage(
        "model_store",
        weights_bytes * versions,
        read,
        None,
        rule,
        f"weights of the zoo; {_ASSUMPTIONS}: inference.cold_start_load_s",
    )
    return staged(
        (store,),
        note=f"model store: {versions} versions of the weights; all servers load them within {spoken(load_s)} s",
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
    stages = (
        stage(
            DATASET,
            dataset_bytes,
            gpus * read_bytes_s_gpu,
            None,
            f"{_AS_GIVEN}; read at {spoken(read_bytes_s_gpu / GB_S)} GB/s by each of {gpus} GPUs",
            f"workload.dataset_tb; {_ASSUMPTIONS}: training.dataset_read_gb_s_gpu",
        ),
        stage(
            "checkpoints",
            one * checkpoints_kept,
            None,
            write,
            f"{checkpoints_kept} x {spoken(one / TB)} TB, {FULL_STATE_BYTES_PARAM:g} bytes a trained parameter; "
            f"one written in {stall_fraction:.0%} of {spoken(interval_s)} s",
            f"{_ASSUMPTIONS}: training.checkpoints_kept, training.checkpoint_stall_fraction",
        ),
    )
    return staged(
        stages,
        note=f"{checkpoints_kept} checkpoints of {spoken(one / TB)} TB ({FULL_STATE_BYTES_PARAM:g} bytes a parameter), "
        f"each written in {stall_fraction:.0%} of the interval{known}",
    )


def science_storage(
    *,
    database_bytes: float | None,
    input_bytes_day: float | None,
    output_bytes_day: float | None,
    local_bytes_server: float | None,
    retention_days: float,
    source: str,
) -> StoragePlan:
    """Databases, inputs and outputs of `retention_days`; None is what nobody published: named, not guessed."""
    kept = f"a day's volume x {retention_days:g} days; the rate is the daily mean"
    stages = [
        stage(
            "inputs", _times(input_bytes_day, retention_days), _times(input_bytes_day, 1 / DAY_S), None, kept, source
        ),
        stage(
            "outputs", _times(output_bytes_day, retention_days), None, _times(output_bytes_day, 1 / DAY_S), kept, source
        ),
    ]
    if database_bytes is not None:
        rule = "one copy that the servers are filled from; searches read their own disks"
        stages.insert(0, stage("databases", database_bytes, None, None, rule, source))
    if local_bytes_server is not None:
        rule = "disks inside every server, for databases, inputs in work and scratch"
        stages.append(stage("local_disk", local_bytes_server, None, None, rule, source, place=IN_SERVER))
    unknown = [name for name, size in (("inputs", input_bytes_day), ("outputs", output_bytes_day)) if size is None]
    missing = f"; not included because unpublished: {', '.join(unknown)}" if unknown else ""
    return staged(
        tuple(stages),
        note=f"databases once, inputs and outputs kept {retention_days:g} days; rates are daily means{missing}",
    )


def sequence_storage(plan: StoragePlan, *, local_bytes_server: float | None, source: str) -> StoragePlan:
    """The plan of a training whose data set is its letters, with the disks inside every server."""
    letters = "one byte a token, residue or base, uncompressed; less where epochs read the same again"

    def worded(one: StorageStage) -> StorageStage:
        if one.stage != DATASET:
            return one
        return replace(one, rule=one.rule.replace(_AS_GIVEN, letters), source=f"workload.tokens; {one.source}")

    stages = [worded(one) for one in plan.stages]
    if local_bytes_server is not None:
        rule = "disks inside every server, for data in work and scratch"
        stages.append(stage("local_disk", local_bytes_server, None, None, rule, source, place=IN_SERVER))
    return replace(plan, stages=tuple(stages), note=f"{plan.note}; the data set is at most one byte a token")


def _times(amount: float | None, factor: float) -> float | None:
    return None if amount is None else amount * factor
