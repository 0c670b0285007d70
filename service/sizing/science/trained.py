"""Sequence models by the training engine: which layouts train them, in how many seconds, with which memory."""

from dataclasses import dataclass, replace

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import GpuSpec
from service.sizing.science.sequence_model import SequenceModel, architecture_of
from service.sizing.science.workload import SequenceTrainingWorkload
from service.sizing.storage import LETTER_BYTES
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.training.choices import deployed_layouts, searched_layouts
from service.sizing.training.evaluate import fitted_layouts, require_known
from service.sizing.training.explain import Point
from service.sizing.training.fleet import search
from service.sizing.training.job import Job, job_of
from service.sizing.training.layouts import Layouts
from service.sizing.training.point import point_at
from service.sizing.units import TB
from service.sizing.workload import Deployment, Method, TrainingTarget, TrainingWorkload

# The engine is asked for every fleet: a later deadline than any takes none of them away.
_ANY_DEADLINE_DAYS = 3650.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """Candidates of the training engine, one row each: the seconds of the whole training, and the fullest GPU.

    A row that trains nothing because no layout fits has infinite seconds and the least memory that one would need.
    """

    job: Job
    layouts: Layouts
    server: IntArray
    servers: IntArray
    gpus: IntArray
    whole_s: FloatArray
    memory_bytes: FloatArray
    usable_bytes: FloatArray

    def on(self, admitted: IntArray) -> "Trained":
        """The rows on these servers."""
        rows = np.flatnonzero(np.isin(self.server, admitted))
        arrays = ("server", "servers", "gpus", "whole_s", "memory_bytes", "usable_bytes")
        return replace(self, layouts=self.layouts.take(rows), **{name: getattr(self, name)[rows] for name in arrays})

    def point(self, row: int, *, table: HardwareTable, server: int, calibration: Calibration) -> Point:
        """One candidate with its memory and its step by part."""
        return point_at(self.job, self.layouts, row=row, table=table, server=server, calibration=calibration)


def training_job(
    workload: SequenceTrainingWorkload, model: SequenceModel, *, id_: str, calibration: Calibration
) -> Job:
    """The pretraining that a workload stands for. Raises UnsupportedWorkloadError for a format that cannot train."""
    architecture = architecture_of(model, id_=id_, parameters=workload.parameters)
    asked = TrainingWorkload(
        model=architecture,
        method=Method.PRETRAIN,
        tokens=workload.tokens,
        target=TrainingTarget(deadline_days=_ANY_DEADLINE_DAYS),
        precision=workload.precision,
        seq_len_tokens=workload.context_tokens or model.context_tokens,
        dataset_tb=workload.tokens * LETTER_BYTES / TB,
    )
    sequences = max(1, round(model.batch_tokens / asked.seq_len_tokens))
    # Not stated: the nearest that the GPUs divide is taken.
    return replace(job_of(asked, architecture, calibration), batch_sequences=sequences)


def trained_fleets(job: Job, admitted: IntArray, *, table: HardwareTable, calibration: Calibration) -> Trained:
    """On every admitted server the GPU counts worth having, each with its fastest layout that fits."""
    job, layouts = searched_layouts(job, gpus=None, most_gpus=int(calibration.assumption("fleet.max_gpus")))
    fleet = search(job, layouts, rows=admitted, table=table, calibration=calibration)
    memory = job.memory(fleet.layouts).total
    return Trained(
        job=job,
        layouts=fleet.layouts,
        server=fleet.server,
        servers=np.maximum(fleet.servers, 1),
        gpus=np.maximum(fleet.gpus, 1),
        whole_s=job.steps * fleet.step_s,
        memory_bytes=np.where(fleet.gpus > 0, memory, fleet.needed_bytes),
        usable_bytes=job.usable_bytes(table.memory_bytes[fleet.server]),
    )


def trained_deployment(
    job: Job, deployment: Deployment, *, gpu: GpuSpec, table: HardwareTable, calibration: Calibration
) -> Trained:
    """The fastest layout that fits on a fixed deployment. Raises UnsupportedWorkloadError for a missing figure."""
    require_known(job, table, gpu)
    job, layouts = deployed_layouts(job, deployment)
    chosen = fitted_layouts(job, layouts, deployment, table=table, calibration=calibration)
    point = point_at(job, chosen, row=0, table=table, server=0, calibration=calibration)
    return Trained(
        job=job,
        layouts=chosen,
        server=np.zeros(1, dtype=np.int64),
        servers=np.array([-(-deployment.gpus // int(table.gpus_server[0]))]),
        gpus=np.array([deployment.gpus]),
        whole_s=np.array([job.steps * point.step_s]),
        memory_bytes=point.memory.total,
        usable_bytes=job.usable_bytes(table.memory_bytes, stated=True),
    )
