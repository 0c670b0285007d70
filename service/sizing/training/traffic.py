"""Bytes that one GPU sends in one step by parallel axis, whatever the links: what the network is asked for.

The same collectives as in exchange.py, which says how long they take on real links. Arrays or scalars.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.table import FloatArray
from service.sizing.training.job import Job
from service.sizing.training.layouts import Layouts, micro_batches
from service.sizing.training.memory import expert_data_ranks, params_gpu, stage_layers_fraction, trained_params_gpu
from service.sizing.training.passes import FULL_PASSES, flow_passes

_BF16 = 2.0
_ZERO3 = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """Bytes per GPU and step."""

    tensor: FloatArray
    context: FloatArray
    expert: FloatArray
    pipeline: FloatArray
    data: FloatArray


def traffic_of(job: Job, layouts: Layouts) -> Traffic:
    """What every candidate sends in a step."""
    shape, recipe = job.shape, job.recipe
    rounds = np.maximum(1, micro_batches(layouts, job.batch_sequences))
    tokens = layouts.micro_batch * shape.seq_len_tokens / layouts.cp
    share = stage_layers_fraction(layouts, shape.layers)
    passes = flow_passes(layouts, recipe)
    # A gather and a scatter around mixer and feed-forward part, forward and backward: 8 a layer in 3 passes.
    blocks = (shape.mixer_layers + shape.layers) / 2.0 * share
    hidden = tokens * shape.hidden * _BF16
    tensor = blocks * 8.0 * passes / FULL_PASSES * hidden * (layouts.tp - 1.0) / layouts.tp
    ring = shape.mixer_layers * share * shape.kv_width * _BF16 * tokens / layouts.tp
    copies = tokens / layouts.tp * shape.expert_width * _BF16 * np.maximum(shape.top_k, 1.0)
    # Dispatch and combine in every pass.
    expert = shape.moe_layers * share * 4.0 * passes / FULL_PASSES * copies * (layouts.ep - 1.0) / layouts.ep
    handed = tokens * shape.stream_elements * _BF16
    handed = np.where(layouts.pp > 1, 2.0 * passes / FULL_PASSES * layouts.vpp * handed / layouts.tp, 0.0)
    return Traffic(
        tensor=np.asarray(tensor * rounds, dtype=np.float64),
        context=np.asarray((layouts.cp - 1.0) * passes * ring * rounds, dtype=np.float64),
        expert=np.asarray(expert * rounds, dtype=np.float64),
        pipeline=np.asarray(handed * rounds, dtype=np.float64),
        data=_data(job, layouts, rounds=rounds),
    )


def _data(job: Job, layouts: Layouts, *, rounds: FloatArray) -> FloatArray:
    """Gradients scattered and weights gathered once a step; under ZeRO-3 two gathers and a scatter a micro-batch."""
    recipe = job.recipe
    dense, routed = trained_params_gpu(layouts, job.shape, recipe)
    zero3 = layouts.sharding >= _ZERO3
    width = np.where(zero3, 3.0 * _BF16, _BF16 + recipe.gradient_bytes)
    times = np.where(zero3, rounds, 1.0)
    ranks = layouts.dp * layouts.cp
    frozen = np.where(recipe.is_adapter & zero3, 2.0 * sum(params_gpu(layouts, job.shape)) * recipe.frozen_bytes, 0.0)
    shared = (dense * width + frozen) * (ranks - 1.0) / ranks
    expert_ranks = expert_data_ranks(layouts)
    return np.asarray(times * (shared + routed * width * (expert_ranks - 1.0) / expert_ranks), dtype=np.float64)
