"""Seconds of one optimizer step by part: products, attention, traffic, exposed communication, bubble, optimizer.

FLOP: Narayanan et al. 2021 (arXiv 2104.04473), causal attention at half of the square. Communication of tensor and
sequence parallelism: Korthikanti et al. 2022 (arXiv 2205.05198). Arrays or scalars.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.compute import saturating_efficiency
from service.sizing.table import FloatArray, IntArray
from service.sizing.training.coefficients import StepCoefficients
from service.sizing.training.exchange import (
    context_exchange_s,
    data_exchange_s,
    expert_exchange_s,
    pipeline_exchange_s,
    tensor_exchange_s,
)
from service.sizing.training.layouts import Layouts
from service.sizing.training.memory import stage_layers_fraction
from service.sizing.training.passes import FULL_PASSES, layer_passes
from service.sizing.training.rates import Rates
from service.sizing.training.recipe import Recipe
from service.sizing.training.shape import Shape

# Fused attention makes the scores again in its backward pass: two and a half forwards instead of two.
_SCORES_AGAIN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepTime:
    """Seconds of one step by part on the slowest stage; `bubble` and `fixed` are what no GPU works through."""

    products: FloatArray
    attention: FloatArray
    traffic: FloatArray
    tensor: FloatArray
    context: FloatArray
    expert: FloatArray
    pipeline: FloatArray
    bubble: FloatArray
    data: FloatArray
    optimizer: FloatArray
    fixed: FloatArray

    @property
    def total(self) -> FloatArray:
        """The step [s]."""
        return (
            self.products
            + self.attention
            + self.traffic
            + self.tensor
            + self.context
            + self.expert
            + self.pipeline
            + self.bubble
            + self.data
            + self.optimizer
            + self.fixed
        )


def step_flop(shape: Shape, recipe: Recipe, *, tokens: float) -> float:
    """Model FLOP of one step: passes x 2 x (products + attention), recompute not counted.

    The convention behind every MFU of Headroom: causal attention at half, head in, input lookup out, dense peak.
    """
    matmul = shape.dense_params + shape.active_routed_params + shape.head_matmul_params
    forward = 2.0 * matmul + shape.attention_flop_token + shape.scan_flop_token
    return tokens * forward * (recipe.passes + recipe.reference_passes)


def _products_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Matrix products [s] of one micro-batch on the slowest stage; small ones reach less of the peak."""
    share = stage_layers_fraction(layouts, shape.layers)
    passes = layer_passes(layouts, recipe)
    size = _reach(tokens, k.half_tokens) * _reach(shape.hidden / np.sqrt(layouts.tp), k.half_width)
    dense = 2.0 * passes * shape.dense_params * share * tokens / layouts.tp / (rates.gemm_flop_s * size)
    rows = tokens / layouts.tp * max(shape.top_k, 1.0) * layouts.ep / max(shape.experts, 1.0)
    width = np.asarray(max(shape.expert_intermediate, 1.0))
    grouped = _reach(rows, k.expert_half_tokens) * _reach(width, k.expert_half_width)
    routed = 2.0 * passes * shape.active_routed_params * share * tokens / layouts.tp / (rates.expert_flop_s * grouped)
    # The head sits on the last stage; a split that counts it as a layer spreads it.
    on_last = (layouts.pp > 1) & (np.mod(shape.layers, layouts.pp * layouts.vpp) == 0)
    spread = np.where(on_last, 1.0, 1.0 / layouts.pp)
    head_passes = recipe.passes + recipe.reference_passes
    head = 2.0 * head_passes * shape.head_matmul_params * spread * tokens / layouts.tp / (rates.wide_flop_s * size)
    return np.asarray(dense + routed * k.imbalance + head, dtype=np.float64)


def _reach(work: FloatArray, half: float) -> FloatArray:
    """Share of the sustained rate at this size: work / (work + half)."""
    return saturating_efficiency(work, peak=np.ones(()), half=np.asarray(half))


def _attention_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Attention cores [s] of one micro-batch: the backward of fused attention makes the scores again, 2.5 forwards."""
    share = stage_layers_fraction(layouts, shape.layers)
    passes = layer_passes(layouts, recipe) + np.where(recipe.passes > 1.0, _SCORES_AGAIN, 0.0)
    # Frozen weights save nothing here: attention has none.
    passes = passes + (1.0 if recipe.is_adapter else 0.0)
    work = shape.attention_flop_token + shape.scan_flop_token / k.scan_efficiency
    return np.asarray(passes * work * share * tokens / layouts.tp / rates.attention_flop_s, dtype=np.float64)


def _traffic_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Elementwise work [s] of one micro-batch: norms, activations, quantisation, permutation, bound by memory."""
    share = stage_layers_fraction(layouts, shape.layers)
    moved = shape.stored_bytes_token * share * tokens / layouts.tp
    passes = k.vector_passes * (layer_passes(layouts, recipe) / FULL_PASSES)
    passes = passes + np.where(layouts.recompute == 1, k.selective_passes, 0.0)
    return np.asarray(moved * passes / rates.bandwidth_bytes_s, dtype=np.float64)


def step_time(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, micro_batches: IntArray, k: StepCoefficients
) -> StepTime:
    """One optimizer step [s] by part: (m + (p-1)/v) micro-batches of the slowest stage, data ranks, optimizer."""
    tokens = layouts.micro_batch * shape.seq_len_tokens / layouts.cp
    products = _products_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    attention = _attention_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    traffic = _traffic_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    tensor = tensor_exchange_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    ring = context_exchange_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens)
    # Ring traffic hides behind attention, but for a share.
    context = np.maximum(ring - attention, 0.0) + k.cp_exposed * np.minimum(ring, attention)
    expert = expert_exchange_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    pipeline = k.pp_exposed * pipeline_exchange_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens)
    share = stage_layers_fraction(layouts, shape.layers)
    launches = (k.launch_s * shape.layers + k.moe_launch_s * shape.moe_layers) * share
    launch = launches * layer_passes(layouts, recipe) / FULL_PASSES
    busy = products + attention + traffic + tensor + context + expert
    # Launches run ahead of the GPU and bind only where there is little to do: a soft maximum of both.
    waiting = (busy**4 + launch**4) ** 0.25 - busy
    micro_s = busy + waiting + pipeline
    rounds = micro_batches
    data, optimizer = data_exchange_s(layouts, shape, recipe=recipe, rates=rates, micro_s=micro_s, rounds=rounds, k=k)
    factor = recipe.rollout_factor
    return StepTime(
        products=products * rounds * factor,
        attention=attention * rounds * factor,
        traffic=traffic * rounds * factor,
        tensor=tensor * rounds * factor,
        context=context * rounds * factor,
        expert=expert * rounds * factor,
        pipeline=pipeline * rounds * factor,
        bubble=micro_s * (layouts.pp - 1) / layouts.vpp * factor,
        data=data * factor,
        optimizer=optimizer * factor,
        fixed=(k.fixed_s + waiting * rounds) * factor,
    )
