"""Jobs that differ by numbers alone become one, whose numbers are columns with a row for each candidate."""

from collections.abc import Hashable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from service.sizing.joint import one_row
from service.sizing.training.job import Job
from service.sizing.training.shape import Shape

_NUMBERS = tuple(field.name for field in fields(Shape) if field.type is float)


def kin(job: Job) -> Hashable:
    """What jobs have in common whose memory and step one call computes: all but sequence, batch and confidence."""
    decoded = job.workload.seq_len_tokens if job.recipe.rolls_out else None
    return (
        job.architecture,
        job.month,
        job.recipe,
        job.software_years,
        job.fuses_experts,
        job.plain_attention,
        job.coefficients,
        job.reserve_bytes,
        job.collective_bytes,
        job.fragmentation_fraction,
        job.memory_spread,
        job.loads_whole,
        decoded,
    )


def one_job(jobs: Sequence[Job], sizes: Sequence[int]) -> Job:
    """A job for memory and steps of the candidates of several that are kin, so many of each, one after another."""
    first = jobs[0]
    if all(job is first for job in jobs):
        return first
    columns: dict[str, Any] = {}
    for name in _NUMBERS:
        values = [getattr(job.shape, name) for job in jobs]
        if any(value != values[0] for value in values):
            columns[name] = one_row(values, sizes)
    batch: Any = np.repeat(np.array([job.batch_sequences for job in jobs], dtype=np.int64), sizes)
    return replace(first, shape=replace(first.shape, **columns), batch_sequences=batch)
