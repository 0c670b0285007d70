"""Seconds of one optimizer step by part: products, attention, traffic, exposed communication, bubble, optimizer.

FLOP: Narayanan et al. 2021 (arXiv 2104.04473), causal attention at half of the square. Communication of tensor and
sequence parallelism: Korthikanti et al. 2022 (arXiv 2205.05198). Arrays or scalars.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.compute import saturating_efficiency
from service.sizing.network import all_gather_s, all_to_all_s, span_bytes_s, span_latency_s
from service.sizing.table import FloatArray, IntArray
from service.sizing.training.layouts import Layouts
from service.sizing.training.memory import expert_data_ranks, params_gpu, stage_layers_fraction
from service.sizing.training.rates import Rates
from service.sizing.training.recipe import Recipe
from service.sizing.training.shape import Shape
from service.sizing.units import MS, US

_BF16 = 2.0
_FULL = 2
_ZERO3 = 3
# Passes of the forward and backward gather/scatter pairs of a layer under sequence parallelism.
_SP_PASSES = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCoefficients:
    """Fitted numbers of config/calibration/training.yaml that the step needs."""

    half_tokens: float
    half_width: float
    expert_half_tokens: float
    expert_half_width: float
    scan_efficiency: float
    moe_launch_s: float
    vector_passes: float
    selective_passes: float
    launch_s: float
    tp_exposed: float
    cp_exposed: float
    ep_exposed: float
    pp_exposed: float
    dp_overlap: float
    dp_exposed: float
    fixed_s: float
    imbalance: float


def coefficients_of(calibration: Calibration, recipe: Recipe) -> StepCoefficients:
    """The coefficients at the recipe's precision."""
    get = calibration.coefficient
    return StepCoefficients(
        half_tokens=get("training.gemm_half_tokens"),
        half_width=get("training.gemm_half_width"),
        expert_half_tokens=get("training.expert_half_tokens"),
        expert_half_width=get("training.expert_half_width"),
        scan_efficiency=get("training.scan_efficiency"),
        moe_launch_s=get("training.moe_layer_launch_us") * US,
        vector_passes=get("training.vector_passes", recipe.compute.value),
        selective_passes=get("training.selective_passes"),
        launch_s=get("training.layer_launch_us") * US,
        tp_exposed=get("training.tp_exposed_fraction"),
        cp_exposed=get("training.cp_exposed_fraction"),
        ep_exposed=get("training.ep_exposed_fraction"),
        pp_exposed=get("training.pp_exposed_fraction"),
        dp_overlap=get("training.dp_overlap_fraction"),
        dp_exposed=get("training.dp_exposed_fraction"),
        fixed_s=get("training.fixed_step_ms") * MS,
        imbalance=get("training.expert_imbalance_factor"),
    )


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
    passes = _layer_passes(layouts, recipe)
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


def _layer_passes(layouts: Layouts, recipe: Recipe) -> FloatArray:
    """Passes over the layers of one micro-batch, recompute included."""
    again = np.where(layouts.recompute >= _FULL, recipe.recompute_passes, 0.0)
    return np.asarray(recipe.passes + recipe.reference_passes + again, dtype=np.float64)


def _attention_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Attention cores [s] of one micro-batch: the backward of fused attention makes the scores again, 2.5 forwards."""
    share = stage_layers_fraction(layouts, shape.layers)
    passes = _layer_passes(layouts, recipe) + np.where(recipe.passes > 1.0, _SCORES_AGAIN, 0.0)
    # Frozen weights save nothing here: attention has none.
    passes = passes + (1.0 if recipe.is_adapter else 0.0)
    work = shape.attention_flop_token + shape.scan_flop_token / k.scan_efficiency
    return np.asarray(passes * work * share * tokens / layouts.tp / rates.attention_flop_s, dtype=np.float64)


_SCORES_AGAIN = 0.5


def _traffic_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Elementwise work [s] of one micro-batch: norms, activations, quantisation, permutation, bound by memory."""
    share = stage_layers_fraction(layouts, shape.layers)
    moved = shape.stored_bytes_token * share * tokens / layouts.tp
    passes = k.vector_passes * (_layer_passes(layouts, recipe) / _FULL_PASSES)
    passes = passes + np.where(layouts.recompute == 1, k.selective_passes, 0.0)
    return np.asarray(moved * passes / rates.bandwidth_bytes_s, dtype=np.float64)


_FULL_PASSES = 3.0


def _tensor_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Exposed tensor-parallel traffic [s] of one micro-batch: 4 gathers and 4 scatters of s x b x h per layer."""
    share = stage_layers_fraction(layouts, shape.layers)
    blocks = (shape.mixer_layers + shape.layers) / 2.0 * share
    rounds = _SP_PASSES * _layer_passes(layouts, recipe) / _FULL_PASSES * 2.0
    one = all_gather_s(
        sent_bytes=tokens * shape.hidden * _BF16,
        ranks=layouts.tp,
        bytes_s=_bandwidth(layouts.tp, rates),
        latency_s=_latency(layouts.tp, rates),
    )
    return np.asarray(blocks * rounds * one * k.tp_exposed, dtype=np.float64)


def _bandwidth(ranks: IntArray, rates: Rates) -> FloatArray:
    return span_bytes_s(
        ranks=ranks,
        domain_gpus=rates.domain,
        scale_up_bytes_s=rates.scale_up_bytes_s,
        scale_out_bytes_s=rates.scale_out_bytes_s,
    )


def _latency(ranks: IntArray, rates: Rates) -> FloatArray:
    return span_latency_s(
        ranks=ranks,
        domain_gpus=rates.domain,
        scale_up_s=rates.scale_up_latency_s,
        scale_out_s=rates.scale_out_latency_s,
    )


def _context_s(layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray) -> FloatArray:
    """Ring attention's traffic [s] of one micro-batch: keys and values around the ring, twice again in backward."""
    share = stage_layers_fraction(layouts, shape.layers)
    span = layouts.tp * layouts.cp
    moved = shape.mixer_layers * share * shape.kv_width * _BF16 * tokens / layouts.tp
    hops = np.maximum(0, layouts.cp - 1) * _layer_passes(layouts, recipe)
    step = moved / _bandwidth(span, rates) + shape.mixer_layers * share * _latency(span, rates)
    return np.asarray(hops * step, dtype=np.float64)


def _expert_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Exposed dispatch and combine [s] of one micro-batch; a token crosses once to each other domain it visits."""
    share = stage_layers_fraction(layouts, shape.layers)
    domains = np.maximum(1.0, layouts.ep / rates.domain)
    # Expected domains that top_k independent choices visit (balls in bins), the own one not counted.
    visited = domains * (1.0 - (1.0 - 1.0 / domains) ** max(shape.top_k, 1.0))
    mine = tokens / layouts.tp * shape.expert_width * _BF16
    outside = mine * visited * (domains - 1.0) / domains / rates.scale_out_bytes_s
    inside = all_to_all_s(
        sent_bytes=mine * shape.top_k,
        ranks=np.minimum(layouts.ep, rates.domain),
        bytes_s=rates.scale_up_bytes_s,
        latency_s=_latency(layouts.ep, rates),
    )
    rounds = 2.0 * _layer_passes(layouts, recipe) * 2.0 / _FULL_PASSES
    busy = np.where(layouts.ep > 1, np.maximum(inside, outside), 0.0)
    return np.asarray(shape.moe_layers * share * rounds * busy * k.ep_exposed, dtype=np.float64)


def _pipeline_s(layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray) -> FloatArray:
    """Hand-overs [s] of one micro-batch between stages, one per chunk and direction, split over tp."""
    moved = tokens * shape.hidden * _BF16 / layouts.tp
    span = layouts.tp * layouts.cp * layouts.dp * 2
    one = moved / _bandwidth(span, rates) + _latency(span, rates)
    return np.where(layouts.pp > 1, _layer_passes(layouts, recipe) / 3.0 * 2.0 * layouts.vpp * one, 0.0)


def _data_s(
    layouts: Layouts,
    shape: Shape,
    *,
    recipe: Recipe,
    rates: Rates,
    micro_s: FloatArray,
    rounds: IntArray,
    k: StepCoefficients,
) -> tuple[FloatArray, FloatArray]:
    """Exposed gradient scatter and weight gather [s] of a step, and the optimizer's [s].

    ZeRO-3 gathers twice and scatters once per micro-batch behind its work; others once per step behind one micro-batch.
    """
    dense, routed = params_gpu(layouts, shape)
    adapters = shape.adapter_params_per_rank * recipe.adapter_rank / (layouts.tp * layouts.pp)
    zero3 = layouts.sharding >= _ZERO3
    moved_dense = adapters if recipe.is_adapter else dense
    moved_routed = np.zeros_like(routed) if recipe.is_adapter else routed
    frozen = (dense + routed) * recipe.frozen_bytes if recipe.is_adapter else 0.0
    gather_twice = 2.0 * _BF16
    width = np.where(zero3, gather_twice + _BF16, _BF16 + recipe.gradient_bytes)
    ranks = np.asarray(layouts.dp * layouts.cp, dtype=np.float64)
    inside = np.clip(rates.domain / layouts.tp, 1.0, ranks)
    expert_ranks = expert_data_ranks(layouts)
    expert_inside = np.clip(rates.domain / layouts.ep, 1.0, expert_ranks)
    once = _ring_s(moved_dense * width + np.where(zero3, 2.0 * frozen, 0.0), ranks, inside, rates)
    once = once + _ring_s(moved_routed * width, expert_ranks, expert_inside, rates)
    hidden_behind = k.dp_overlap * micro_s
    exposed = np.maximum(0.0, once - hidden_behind) + k.dp_exposed * np.minimum(once, hidden_behind)
    sharded = np.where(layouts.sharding >= 1, 1.0, 0.0)
    states = np.where(sharded > 0, moved_dense / ranks + moved_routed / expert_ranks, moved_dense + moved_routed)
    # Master, both moments and the gradient are read, all but the gradient and the BF16 weights written.
    optimizer = states * (2.0 * recipe.optimizer_bytes + recipe.gradient_bytes + recipe.weight_bytes)
    return np.where(zero3, exposed * rounds, exposed), np.asarray(optimizer / rates.bandwidth_bytes_s)


def _ring_s(sent_bytes: FloatArray, ranks: FloatArray, inside: FloatArray, rates: Rates) -> FloatArray:
    """Gather or scatter [s] of `sent_bytes` over `ranks`, of which `inside` share a domain: outer share first."""
    domains = np.maximum(1.0, ranks / inside)
    inner = (inside - 1.0) / inside * sent_bytes / rates.scale_up_bytes_s
    outer = (domains - 1.0) / domains * sent_bytes / inside / rates.scale_out_bytes_s
    return np.where(ranks > 1, np.maximum(inner, outer) + rates.scale_out_latency_s, 0.0)


def step_time(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, micro_batches: IntArray, k: StepCoefficients
) -> StepTime:
    """One optimizer step [s] by part: (m + (p-1)/v) micro-batches of the slowest stage, data ranks, optimizer."""
    tokens = layouts.micro_batch * shape.seq_len_tokens / layouts.cp
    products = _products_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    attention = _attention_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    traffic = _traffic_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    tensor = _tensor_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    ring = _context_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens)
    # Ring traffic hides behind attention, but for a share.
    context = np.maximum(ring - attention, 0.0) + k.cp_exposed * np.minimum(ring, attention)
    expert = _expert_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    pipeline = k.pp_exposed * _pipeline_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens)
    share = stage_layers_fraction(layouts, shape.layers)
    launches = (k.launch_s * shape.layers + k.moe_launch_s * shape.moe_layers) * share
    launch = launches * _layer_passes(layouts, recipe) / _FULL_PASSES
    busy = products + attention + traffic + tensor + context + expert
    # Launches run ahead of the GPU and bind only where there is little to do: a soft maximum of both.
    waiting = (busy**4 + launch**4) ** 0.25 - busy
    micro_s = busy + waiting + pipeline
    rounds = micro_batches
    data, optimizer = _data_s(layouts, shape, recipe=recipe, rates=rates, micro_s=micro_s, rounds=rounds, k=k)
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
