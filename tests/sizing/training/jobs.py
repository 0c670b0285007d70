"""Builders for training tests: a workload, its job, one layout."""

import numpy as np

from service.catalog.catalog import Catalog
from service.sizing.precision import Precision
from service.sizing.training.job import Job, job_of
from service.sizing.training.layouts import Layouts
from service.sizing.workload import Method, TrainingTarget, TrainingWorkload


def training_workload(**changes: object) -> TrainingWorkload:
    fields = {
        "model": "llama-3.1-8b",
        "method": Method.PRETRAIN,
        "tokens": 1e12,
        "target": TrainingTarget(deadline_days=30.0),
        "precision": Precision.BF16,
        "seq_len_tokens": 4096,
        "global_batch_sequences": 512,
    }
    return TrainingWorkload(**(fields | changes))


def job(catalog: Catalog, **changes: object) -> Job:
    workload = training_workload(**changes)
    return job_of(workload, catalog.models[str(workload.model)].architecture, catalog.calibration)


def layouts(**columns: int | list[int]) -> Layouts:
    fields = {
        "tp": 1,
        "pp": 1,
        "vpp": 1,
        "cp": 1,
        "ep": 1,
        "dp": 1,
        "micro_batch": 1,
        "sharding": 0,
        "recompute": 0,
    } | columns
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.int64)) for v in fields.values()))
    found = {name: np.array(a) for name, a in zip(fields, arrays, strict=True)}
    return Layouts(**found, recompute_fraction=np.ones(found["tp"].shape))
