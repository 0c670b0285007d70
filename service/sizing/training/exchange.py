"""Seconds of communication per parallel axis: tensor, context, expert, pipeline and data; arrays or scalars.

Sources: Korthikanti et al. 2022 (arXiv 2205.05198) for tensor and sequence parallelism, Liu et al. 2023 (arXiv
2310.01889) for rings of keys and values, Rajbhandari et al. 2020 (arXiv 1910.02054) for sharded data parallelism.
"""

import numpy as np

from service.sizing.network import all_gather_s, all_to_all_s, span_bytes_s, span_latency_s
from service.sizing.table import FloatArray, IntArray
from service.sizing.training.coefficients import StepCoefficients
from service.sizing.training.layouts import Layouts
from service.sizing.training.memory import expert_data_ranks, params_gpu, stage_layers_fraction, trained_params_gpu
from service.sizing.training.passes import FULL_PASSES, flow_passes
from service.sizing.training.rates import Rates
from service.sizing.training.recipe import Recipe
from service.sizing.training.shape import Shape

_BF16 = 2.0
_ZERO3 = 3
_BACKWARD_FRACTION = 2.0 / 3.0
# Gathers and scatters of a layer under sequence parallelism, forward and backward.
_SP_PASSES = 4.0


def tensor_exchange_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Exposed tensor-parallel traffic [s] of one micro-batch: 4 gathers and 4 scatters of s x b x h per layer."""
    share = stage_layers_fraction(layouts, shape.layers)
    blocks = (shape.mixer_layers + shape.layers) / 2.0 * share
    rounds = _SP_PASSES * flow_passes(layouts, recipe) / FULL_PASSES * 2.0
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
        scale_up_bytes_s=rates.inside_bytes_s(ranks),
        scale_out_bytes_s=rates.scale_out_bytes_s,
    )


def _latency(ranks: IntArray, rates: Rates) -> FloatArray:
    return span_latency_s(
        ranks=ranks,
        domain_gpus=rates.domain,
        scale_up_s=rates.scale_up_latency_s,
        scale_out_s=rates.scale_out_latency_s,
    )


def context_exchange_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray
) -> FloatArray:
    """Ring attention's traffic [s] of one micro-batch: keys and values around the ring, twice again in backward."""
    share = stage_layers_fraction(layouts, shape.layers)
    span = layouts.tp * layouts.cp
    moved = shape.mixer_layers * share * shape.kv_width * _BF16 * tokens / layouts.tp
    hops = np.maximum(0, layouts.cp - 1) * flow_passes(layouts, recipe)
    step = moved / _bandwidth(span, rates) + shape.mixer_layers * share * _latency(span, rates)
    return np.asarray(hops * step, dtype=np.float64)


def expert_exchange_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Exposed dispatch and combine [s] of one micro-batch; a token crosses once to each other domain it visits."""
    share = stage_layers_fraction(layouts, shape.layers)
    domains = np.maximum(1.0, layouts.ep / rates.domain)
    # Expected domains that top_k independent choices visit (balls in bins), the own one not counted.
    visited = domains * (1.0 - (1.0 - 1.0 / domains) ** np.maximum(shape.top_k, 1.0))
    mine = tokens / layouts.tp * shape.expert_width * _BF16 * recipe.imbalance
    outside = mine * visited * (domains - 1.0) / domains / rates.scale_out_bytes_s
    inside = all_to_all_s(
        sent_bytes=mine * shape.top_k,
        ranks=np.minimum(layouts.ep, rates.domain),
        bytes_s=rates.inside_bytes_s(np.minimum(layouts.ep, rates.domain)),
        latency_s=_latency(layouts.ep, rates),
    )
    rounds = 2.0 * flow_passes(layouts, recipe) * 2.0 / FULL_PASSES
    # Traffic that leaves the domain goes on behind another chunk's work where a stage has several; what shows of it
    # is compared with what is inside, so that a slower network never makes the longer of both shorter.
    shown = outside * np.where(layouts.vpp > 1, k.ep_overlapped_exposed, 1.0)
    busy = np.where(layouts.ep > 1, np.maximum(inside, shown), 0.0)
    return np.asarray(shape.moe_layers * share * rounds * busy * k.ep_exposed, dtype=np.float64)


def pipeline_exchange_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray
) -> FloatArray:
    """Hand-overs [s] of one micro-batch between stages, one per chunk and direction, split over tp."""
    moved = tokens * shape.stream_elements * _BF16 / layouts.tp
    span = layouts.tp * layouts.cp * layouts.dp * 2
    one = moved / _bandwidth(span, rates) + _latency(span, rates)
    return np.where(layouts.pp > 1, flow_passes(layouts, recipe) / 3.0 * 2.0 * layouts.vpp * one, 0.0)


def data_exchange_s(
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
    zero3 = layouts.sharding >= _ZERO3
    moved_dense, moved_routed = trained_params_gpu(layouts, shape, recipe)
    frozen = np.where(recipe.is_adapter, (dense + routed) * recipe.frozen_bytes, 0.0)
    gather_twice = 2.0 * _BF16
    width = np.where(zero3, gather_twice + _BF16, _BF16 + recipe.gradient_bytes)
    ranks = np.asarray(layouts.dp * layouts.cp, dtype=np.float64)
    inside = np.clip(rates.domain / layouts.tp, 1.0, ranks)
    expert_ranks = expert_data_ranks(layouts)
    expert_inside = np.clip(rates.domain / layouts.ep, 1.0, expert_ranks)
    once = _ring_s(moved_dense * width + np.where(zero3, 2.0 * frozen, 0.0), ranks, inside, rates)
    once = once + _ring_s(moved_routed * width, expert_ranks, expert_inside, rates)
    # A collective a layer and direction, each as many steps as doublings reach all domains.
    calls = shape.layers * stage_layers_fraction(layouts, shape.layers) * np.where(zero3, 3.0, 2.0)
    once = once + calls * np.log2(np.maximum(1.0, ranks / inside)) * rates.scale_out_latency_s
    hidden_behind = k.dp_overlap * micro_s
    exposed = np.maximum(0.0, once - hidden_behind) + k.dp_exposed * np.minimum(once, hidden_behind)
    exposed = np.asarray(k.vintage * exposed, dtype=np.float64)
    sharded = np.where(layouts.sharding >= 1, 1.0, 0.0)
    states = np.where(sharded > 0, moved_dense / ranks + moved_routed / expert_ranks, moved_dense + moved_routed)
    # Master, both moments and the gradient are read, all but the gradient and the BF16 weights written.
    optimizer = states * (2.0 * recipe.optimizer_bytes + recipe.gradient_bytes + recipe.weight_bytes)
    host_s = states * recipe.host_bytes / recipe.host_bytes_s
    # Pages come and go while gradients are made (arXiv 2305.14314), two thirds of a step.
    shown = np.where(recipe.pages, np.maximum(0.0, host_s - _BACKWARD_FRACTION * micro_s * rounds), host_s)
    step_s = optimizer / rates.bandwidth_bytes_s + shown
    return np.where(zero3, exposed * rounds, exposed), np.asarray(step_s, dtype=np.float64)


def _ring_s(sent_bytes: FloatArray, ranks: FloatArray, inside: FloatArray, rates: Rates) -> FloatArray:
    """Gather or scatter [s] of `sent_bytes` over `ranks`, of which `inside` share a domain: outer share first."""
    domains = np.maximum(1.0, ranks / inside)
    inner = (inside - 1.0) / inside * sent_bytes / rates.inside_bytes_s(inside)
    outer = (domains - 1.0) / domains * sent_bytes / inside / rates.scale_out_bytes_s
    return np.where(ranks > 1, np.maximum(inner, outer) + rates.scale_out_latency_s, 0.0)
