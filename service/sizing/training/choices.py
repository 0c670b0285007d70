"""Which layouts are worth trying for a question: degrees in powers of two, data ranks that divide the batch."""

from dataclasses import replace

import numpy as np

from service.errors import FieldError, InvalidRequestError
from service.sizing.training.job import Job
from service.sizing.training.layouts import (
    Choices,
    Layouts,
    batch_divides,
    divisors,
    enumerate_layouts,
    holds_experts,
    legal,
)
from service.sizing.workload import Deployment, Recompute, Sharding

_TP = (1, 2, 4, 8)
_PP = (1, 2, 4, 6, 8, 12, 16, 32)
_VPP = (1, 2, 4, 8)
_CP = (1, 2, 4, 8)
_CP_TOKENS = 4096
_EP = (1, 4, 8, 16, 32, 64)
_MICRO_BATCH = (1, 2, 4)
_ZERO1, _ZERO3 = 1, 3
# Data-parallel degrees tried; a batch with more divisors is thinned evenly on the logarithm, ends included.
_MOST_DP = 24
SHARDING_STAGE = {Sharding.NONE: 0, Sharding.ZERO1: 1, Sharding.ZERO2: 2, Sharding.ZERO3: 3}
RECOMPUTE_LEVEL = {Recompute.NONE: 0, Recompute.SELECTIVE: 1, Recompute.FULL: 2}


def thinned(values: tuple[int, ...], most: int) -> tuple[int, ...]:
    """At most `most` of ascending degrees: of each even step of the logarithm the nearest, ends included."""
    if len(values) <= most:
        return values
    logs = np.log2(values)
    steps = np.linspace(logs[0], logs[-1], most)
    nearest = np.abs(logs[:, None] - steps[None, :]).argmin(axis=0)
    return tuple(values[int(i)] for i in np.unique(nearest))


def _expert_degrees(job: Job) -> tuple[int, ...]:
    experts = int(job.shape.experts)
    return tuple(d for d in _EP if experts and experts % d == 0) or (1,)


def _context_degrees(job: Job) -> tuple[int, ...]:
    """Ways to split a sequence that leave each part long enough."""
    return tuple(c for c in _CP if c <= max(1, job.workload.seq_len_tokens // _CP_TOKENS))


def searched_layouts(job: Job, *, gpus: int | None, most_gpus: int) -> tuple[Job, Layouts]:
    """The job, and legal layouts whose data ranks divide its batch: on exactly `gpus`, or on any count to `most_gpus`.

    Raises InvalidRequestError with the nearest global batch when none divides a stated one on exactly `gpus`.
    """
    batch = job.batch_sequences
    data = divisors(gpus) if gpus is not None else divisors(batch)
    choices = Choices(
        tp=_TP,
        pp=_PP,
        vpp=_VPP,
        cp=_context_degrees(job),
        ep=_expert_degrees(job),
        dp=data if gpus is not None else thinned(tuple(d for d in data if d <= most_gpus), _MOST_DP),
        micro_batch=_MICRO_BATCH,
        sharding=(_ZERO1, _ZERO3),
    )
    layouts = enumerate_layouts(choices)
    count = layouts.gpus
    layouts = layouts.take((count == gpus) if gpus is not None else (count <= most_gpus))
    return _dividing(job, layouts.take(legal(layouts, job.shape)))


def _dividing(job: Job, layouts: Layouts) -> tuple[Job, Layouts]:
    """The layouts that divide the global batch; the default gives way to the nearest that some of them divide.

    Raises InvalidRequestError where none divides another batch.
    """
    batch = job.batch_sequences
    dividing = batch_divides(layouts, batch)
    if np.any(dividing):
        return job, layouts.take(dividing)
    nearest = nearest_batch(layouts, batch)
    if job.workload.global_batch_sequences is not None or not len(layouts):
        raise indivisible(batch, nearest)
    return replace(job, batch_sequences=nearest), layouts.take(batch_divides(layouts, nearest))


def nearest_batch(layouts: Layouts, batch: int) -> int:
    """The nearest global batch that some layout divides; the smaller of two as near."""
    shares = np.unique(layouts.dp * layouts.micro_batch) if len(layouts) else np.array([1])
    below = np.maximum(1, batch // shares) * shares
    above = -(-batch // shares) * shares
    near = np.concatenate([below, above])
    return int(near[np.lexsort((near, np.abs(near - batch)))][0])


def indivisible(batch: int, best: int) -> InvalidRequestError:
    """The error for a global batch that no layout divides, with the nearest that works."""
    message = f"no layout divides a global batch of {batch} sequences; the nearest that works is {best}"
    return InvalidRequestError(
        message,
        errors=(
            FieldError(
                field="workload.global_batch_sequences",
                message=f"no layout on these GPUs divides it; use {best}",
                value=str(batch),
                limit=str(best),
            ),
        ),
    )


def deployed_layouts(job: Job, deployment: Deployment) -> tuple[Job, Layouts]:
    """The job, and the layouts of a fixed deployment: as stated, and every legal choice for what it leaves open.

    Raises InvalidRequestError when the degrees do not divide the GPUs, or no layout divides a stated global batch.
    """

    def either(given: int | None, tried: tuple[int, ...]) -> tuple[int, ...]:
        return tried if given is None else (given,)

    gpus = deployment.gpus
    stage = None if deployment.sharding is None else SHARDING_STAGE[deployment.sharding]
    # A pipeline that says nothing of interleaving or of context parallelism runs without.
    choices = Choices(
        tp=either(deployment.tp, tuple(d for d in _TP if d <= gpus)),
        pp=either(deployment.pp, tuple(d for d in _PP if d <= gpus)),
        vpp=either(deployment.vpp, _VPP if deployment.pp is None else (1,)),
        cp=either(deployment.cp, _context_degrees(job) if deployment.tp is None else (1,)),
        ep=either(deployment.ep, _expert_degrees(job)),
        dp=either(deployment.dp, divisors(gpus)),
        micro_batch=either(deployment.micro_batch, _MICRO_BATCH),
        sharding=either(stage, (_ZERO1, _ZERO3)),
    )
    layouts = enumerate_layouts(choices)
    layouts = layouts.take(layouts.gpus == gpus)
    if not len(layouts):
        raise InvalidRequestError(
            f"tp x pp x cp x dp does not give deployment.gpus = {gpus}; change a degree or the GPU count",
            errors=(
                FieldError(field="deployment.gpus", message="is no multiple of tp x pp x cp (x dp)", value=str(gpus)),
            ),
        )
    allowed = layouts.take(legal(layouts, job.shape))
    if not len(allowed):
        # What somebody really ran is evaluated even where public stacks would refuse it.
        possible = holds_experts(layouts, job.shape)
        allowed = layouts.take(possible) if np.any(possible) else layouts
    return _dividing(job, allowed)
