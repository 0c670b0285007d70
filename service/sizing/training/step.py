"""Seconds of one optimizer step by part: products, attention, traffic, exposed communication, bubble, optimizer.

Kernels: config/calibration/kernels.yaml. FLOP: Narayanan et al. 2021 (arXiv 2104.04473), causal attention at half of
the square. Communication of tensor and sequence parallelism: Korthikanti et al. 2022 (arXiv 2205.05198). Arrays or
scalars.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.operation import Curves, Work
from service.sizing.table import FloatArray, IntArray
from service.sizing.training.coefficients import StepCoefficients
from service.sizing.training.composed import FORWARD_FRACTION
from service.sizing.training.exchange import (
    context_exchange_s,
    data_exchange_s,
    expert_exchange_s,
    pipeline_exchange_s,
    tensor_exchange_s,
)
from service.sizing.training.layouts import Layouts
from service.sizing.training.memory import stage_layers_fraction
from service.sizing.training.passes import FULL_PASSES, flow_passes, layer_passes
from service.sizing.training.rates import Rates
from service.sizing.training.recipe import Recipe
from service.sizing.training.rollout import rollout_s
from service.sizing.training.shape import Shape

# Fused attention makes the scores again in its backward pass: two and a half forwards instead of two.
_SCORES_AGAIN = 0.5
_BF16 = 2.0
# Of one element of a recurrent state and one token, forward; states are kept in FP32.
_STATE_FLOP, _STATE_BYTES = 6.0, 4.0
# Kernels of the mixer that most layers have stand for all.
_MOSTLY = 0.5
# Frameworks read what a product multiplies in 16 bits and write it in 8, once for each of the two products that it
# enters: forward or gradient of the inputs by rows, gradient of the weights by columns (github.com/pytorch/ao).
_SCALED_BYTES = 2.0 * (2.0 + 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepTime:
    """Seconds of one step by part on the slowest stage; `bubble` and `fixed` are what no GPU works through.

    `slowest` is what a mean GPU waits for the slowest of them all.
    """

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
    slowest: FloatArray
    fixed: FloatArray
    rollout: FloatArray

    @classmethod
    def together(cls, each: Sequence[Self]) -> Self:
        """All of them, one after another; of none no rows."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([np.zeros(0), *(getattr(one, name) for one in each)]) for name in names})

    @classmethod
    def without_end(cls, rows: int) -> Self:
        """Steps of what never steps."""
        return cls(**{field.name: np.full(rows, np.inf) for field in fields(cls)})

    def take(self, rows: IntArray | slice) -> Self:
        """The candidates of these rows."""
        return type(self)(**{field.name: np.atleast_1d(getattr(self, field.name))[rows] for field in fields(self)})

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
            + self.slowest
            + self.fixed
            + self.rollout
        )


def step_flop(shape: Shape, recipe: Recipe, *, tokens: float) -> float:
    """Model FLOP of one step: passes x 2 x (products + attention), recompute not counted.

    The convention behind every MFU of Headroom: causal attention at half, head in, input lookup out, dense peak.
    """
    return tokens * shape.flop_token * (recipe.passes + recipe.reference_passes)


def _least_s(layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, sequences: IntArray) -> FloatArray:
    """The model FLOP of a step [s] at the dense peak of its products: no step is shorter, whatever kernels reach."""
    tokens = sequences * np.asarray(shape.seq_len_tokens) / (layouts.cp * layouts.tp * layouts.pp)
    flop = tokens * shape.flop_token * (recipe.passes + recipe.reference_passes)
    return np.asarray(flop / rates.peak_flop_s, dtype=np.float64)


def _many_s(curves: Curves, work: Work, count: Numeric) -> FloatArray:
    """Time [s] of `count` kernels that share this work: the sum of equal ones, whose launches do not overlap."""
    return np.asarray(curves.time_s(work) + (count - 1.0) * curves.launch_s, dtype=np.float64)


def _products_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Matrix products [s] of one micro-batch on the slowest stage: dense layers, experts and the head."""
    share = stage_layers_fraction(layouts, shape.layers)
    again = np.where(layouts.recompute == 1, recipe.selective_products_fraction, 0.0)
    passes = layer_passes(layouts, recipe, forward_factor=k.forward_factor) + again * k.forward_factor
    spared = k.forward_factor * _spared_passes(layouts, shape, recipe)
    dense = _dense_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens) * share
    routed = _routed_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k) * share
    # The head sits on the last stage; a split that counts it as a layer spreads it.
    on_last = (layouts.pp > 1) & (np.mod(shape.layers, layouts.pp * layouts.vpp) == 0)
    spread = np.where(on_last, 1.0, 1.0 / layouts.pp)
    head_passes = recipe.passes + recipe.reference_passes
    head = Work(
        flop=2.0 * shape.head_matmul_params * tokens / layouts.tp,
        main_bytes=_BF16 * shape.head_matmul_params / layouts.tp,
        side_bytes=_BF16 * tokens * (shape.hidden + shape.head_matmul_params / shape.hidden / layouts.tp),
        depth=shape.hidden,
    )
    # Adapters multiply along with every frozen matrix, in products too small to fill a GPU.
    layers = (
        (dense * (passes - spared) + k.vintage * routed * passes)
        * k.recipe_factor
        * np.where(recipe.is_adapter, k.adapter_factor, 1.0)
    )
    head_s = rates.wide_factor * rates.wide.time_s(head) * head_passes * spread
    return np.asarray(layers + head_s, dtype=np.float64)


def _spared_passes(layouts: Layouts, shape: Shape, recipe: Recipe) -> FloatArray:
    """Of a forward pass over the dense products, what full recompute does not make again in a framework's stack.

    PyTorch's checkpoints stop where the last tensor that a backward pass needs is back: before the product that a
    layer ends with (torch.utils.checkpoint, early stop). Adapters come after it, so that theirs do not.
    """
    stops = np.asarray(recipe.plain_stack) & ~np.asarray(recipe.is_adapter)
    again = layouts.made_again * recipe.recompute_passes
    return np.where(stops, again * shape.last_params / shape.dense_params, 0.0)


def _dense_s(layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray) -> FloatArray:
    """One pass [s] over the dense products of all layers."""
    found = shape.products
    work = Work(
        flop=2.0 * shape.dense_params * tokens / layouts.tp,
        main_bytes=(recipe.multiplied_bytes + _gradient_bytes(layouts, recipe)) * shape.dense_params / layouts.tp,
        side_bytes=_BF16 * tokens * (found.whole_elements + found.cut_elements / layouts.tp),
        depth=found.whole_depth_elements + found.cut_depth_elements / layouts.tp,
    )
    return np.asarray(rates.product_factor * _many_s(rates.products, work, found.products), dtype=np.float64)


def _gradient_bytes(layouts: Layouts, recipe: Recipe) -> FloatArray:
    """What a product moves of the gradient of a trained weight [bytes], over all passes alike.

    One pass in three adds to what earlier micro-batches left of it: reads and writes it.
    """
    moved = np.where(recipe.is_adapter, 0.0, 2.0 * np.asarray(recipe.gradient_bytes))
    return np.asarray(moved / layer_passes(layouts, recipe), dtype=np.float64)


def _routed_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """One pass [s] over the grouped products of the routed experts; few tokens and narrow ones reach less."""
    mine = tokens / layouts.tp * recipe.imbalance
    rows = mine * np.maximum(shape.top_k, 1.0) * layouts.ep / np.maximum(shape.experts, 1.0)
    width = np.maximum(shape.expert_intermediate, 1.0)
    small = (1.0 + k.expert_half_tokens / rows) * (1.0 + k.expert_half_width / width)
    # One kernel activates and scales what it multiplied before it writes it.
    moved = 1.0 - rates.fused_experts * (1.0 - k.fused_side_fraction)
    work = Work(
        flop=2.0 * shape.active_routed_params * mine * small,
        main_bytes=(recipe.grouped_bytes + _gradient_bytes(layouts, recipe)) * shape.routed_params / layouts.ep,
        side_bytes=_BF16 * mine * shape.expert_elements_token * moved,
    )
    grouped = rates.grouped_factor * k.expert_factor * rates.grouped.time_s(work)
    return np.asarray(np.where(np.asarray(shape.routed_params) > 0, grouped, 0.0), dtype=np.float64)


def _attention_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Attention cores and recurrences [s] of one micro-batch: the backward of fused attention takes 2.5 forwards."""
    share = stage_layers_fraction(layouts, shape.layers)
    passes = flow_passes(layouts, recipe, forward_factor=k.forward_factor) + np.where(
        recipe.passes > 1.0, _SCORES_AGAIN, 0.0
    )
    work = Work(
        flop=shape.attention_flop_token * tokens / layouts.tp,
        main_bytes=_BF16 * tokens * shape.attention_kv_elements_token / layouts.tp,
        side_bytes=_BF16 * tokens * shape.attention_side_elements_token / layouts.tp,
        depth=shape.visible_tokens * shape.scored_layers / layouts.cp,
    )
    latent = np.asarray(shape.latent_fraction)
    scored = np.where(
        latent > _MOSTLY,
        rates.latent_factor * _many_s(rates.latent, work, shape.scored_layers),
        rates.attention_factor * _many_s(rates.attention, work, shape.scored_layers),
    )
    scored = np.where(np.asarray(shape.scored_layers) > 0, scored, 0.0)
    # As its kernels were measured: three multiply-adds for an element of the state and token, one token after another.
    scanned = Work(
        flop=_STATE_FLOP * shape.scan_state_elements * tokens / layouts.tp,
        main_bytes=2.0 * _STATE_BYTES * shape.scan_state_elements * layouts.micro_batch / layouts.tp,
        side_bytes=_BF16 * tokens * shape.scan_side_elements_token / layouts.tp,
        depth=shape.scan_layers * shape.seq_len_tokens / layouts.cp,
    )
    scan = np.where(np.asarray(shape.scan_layers) > 0, _many_s(rates.scan, scanned, shape.scan_layers), 0.0)
    return np.asarray(passes * share * (scored + k.scan_factor * scan), dtype=np.float64)


def _traffic_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, tokens: FloatArray, k: StepCoefficients
) -> FloatArray:
    """Elementwise work [s] of one micro-batch: norms, activations, residuals, permutation, bound by memory."""
    share = stage_layers_fraction(layouts, shape.layers)
    mine = share * tokens / layouts.tp
    often = flow_passes(layouts, recipe) / FULL_PASSES
    passes = k.vector_passes * often + np.where(layouts.recompute == 1, k.selective_passes, 0.0)
    # One kernel multiplies and activates experts: what it moves is told with their products.
    apart = shape.moved_bytes_token - rates.fused_experts * shape.activated_bytes_token
    moved = rates.vector_factor * apart * passes
    moved = moved + shape.stream_bytes_token * often
    composed = k.norm_fraction * shape.norm_bytes_token + k.composed_fraction * shape.composed_bytes_token
    again = np.where(layouts.recompute == 1, FORWARD_FRACTION, 0.0)
    moved = moved + np.where(recipe.plain_kernels, composed * (often + again), 0.0)
    moved = moved + k.biased_passes * shape.biased_bytes_token * often
    moved = moved + k.adapter_passes * _adapter_bytes_token(shape, recipe) * often
    # Selective recompute was made for attention that is not fused (arXiv 2205.05198).
    scored = often + np.where(layouts.recompute == 1, 1.0 / FULL_PASSES, 0.0)
    moved = mine * (moved + k.score_passes * shape.score_bytes_token * scored)
    moved = moved + _scaled_bytes(layouts, shape, recipe=recipe, tokens=tokens) * often
    return np.asarray(moved / rates.bandwidth_bytes_s, dtype=np.float64)


def _scaled_bytes(layouts: Layouts, shape: Shape, *, recipe: Recipe, tokens: FloatArray) -> FloatArray:
    """What is moved [bytes] to bring operands of one micro-batch into 8 bits in kernels apart: tokens and weights."""
    found = shape.products
    elements = found.whole_elements + (found.cut_elements + shape.expert_elements_token) / layouts.tp
    params = shape.dense_params / layouts.tp + np.asarray(shape.routed_params) / layouts.ep
    share = stage_layers_fraction(layouts, shape.layers)
    return np.where(recipe.scales_apart, _SCALED_BYTES * share * (tokens * elements + params), 0.0)


def _adapter_bytes_token(shape: Shape, recipe: Recipe) -> FloatArray:
    """What adapters read of the inputs and add to the outputs of their matrices [bytes a token], once."""
    chosen = np.asarray(shape.top_k) / np.maximum(shape.experts, 1.0)
    of_ffn = shape.ffn_adapter_params_per_rank + shape.routed_adapter_params_per_rank * chosen
    elements = shape.mixer_adapter_params_per_rank + np.asarray(recipe.adapts_ffn, dtype=np.float64) * of_ffn
    return np.asarray(_BF16 * elements * np.asarray(recipe.is_adapter, dtype=np.float64), dtype=np.float64)


def _unpacking_s(layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, k: StepCoefficients) -> FloatArray:
    """Frozen weights in 4 bits unpacked [s] for one micro-batch: read, and written in 16 bit, before each product."""
    params = shape.dense_params / layouts.tp + np.asarray(shape.routed_params) / layouts.ep
    moved = params * stage_layers_fraction(layouts, shape.layers) * recipe.unpacked_bytes
    return np.asarray(
        k.unpacking_factor * layer_passes(layouts, recipe) * moved / rates.bandwidth_bytes_s, dtype=np.float64
    )


def _rollout_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, rounds: IntArray, k: StepCoefficients
) -> FloatArray:
    if rates.decoding is None:
        return np.zeros(np.shape(rounds))
    gaps_s = np.asarray(shape.layers * k.rollout_gap_s)
    length = np.asarray(shape.seq_len_tokens)
    found = rollout_s(layouts, rates.decoding, length_tokens=length, gaps_s=gaps_s, rounds=rounds)
    return np.where(recipe.rolls_out, k.rollout_factor * found, 0.0)


def _launches_s(layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, k: StepCoefficients) -> FloatArray:
    """What launching the kernels of one micro-batch takes [s]."""
    # Experts that share a GPU are multiplied one after the other, each with launches of its own, but in one kernel;
    # frameworks bring one that multiplies groups, and their routing is no less fused than a vendor's.
    plain = np.asarray(recipe.plain_stack, dtype=bool)
    apart = np.where(plain, 0.0, 1.0 - rates.fused_experts)
    routing = k.moe_launch_s + k.expert_launch_s * apart * shape.experts / layouts.ep
    routed = routing * shape.moe_layers * np.where(plain, 1.0, rates.launch_factor)
    launches = k.launch_s * shape.layers * rates.launch_factor + routed
    launches = launches * np.where(recipe.is_adapter, k.adapter_launch_factor, 1.0)
    share = stage_layers_fraction(layouts, shape.layers)
    return np.asarray(launches * share * flow_passes(layouts, recipe) / FULL_PASSES, dtype=np.float64)


def _fixed_s(layouts: Layouts, shape: Shape, *, recipe: Recipe, k: StepCoefficients) -> FloatArray:
    """Work of a step that does not scale [s]: whatever updates weights takes each expert as a tensor of its own."""
    experts = shape.experts / layouts.ep * shape.moe_layers * stage_layers_fraction(layouts, shape.layers)
    trained = np.where(recipe.is_adapter, 0.0, experts)
    return np.asarray(k.vintage * (k.fixed_s + k.expert_step_s * trained), dtype=np.float64)


def _exchanged_s(
    layouts: Layouts,
    shape: Shape,
    *,
    recipe: Recipe,
    rates: Rates,
    tokens: FloatArray,
    attention: FloatArray,
    k: StepCoefficients,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Exposed traffic [s] of one micro-batch over tensor, context, expert and pipeline ranks."""
    tensor = tensor_exchange_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    ring = context_exchange_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens)
    # Ring traffic hides behind attention, but for a share.
    hidden = np.minimum(ring, attention)
    context = np.asarray(ring - hidden + k.cp_exposed * hidden, dtype=np.float64)
    expert = expert_exchange_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    # Hand-overs hide behind another chunk's work alone (Megatron Core, overlap_p2p_comm).
    shown = np.where(layouts.vpp > 1, k.pp_exposed, 1.0)
    pipeline = shown * pipeline_exchange_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens)
    return k.vintage * tensor, k.vintage * context, k.vintage * expert, k.vintage * pipeline


def step_time(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, micro_batches: IntArray, k: StepCoefficients
) -> StepTime:
    """One optimizer step [s] by part: (m + (p-1)/v) micro-batches of the slowest stage, data ranks, optimizer.

    Software gets faster at all but the products of layers without experts, and attention: they reach what the GPU
    sustains from the first releases on.
    """
    tokens = layouts.micro_batch * shape.seq_len_tokens / layouts.cp
    products = _products_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    attention = _attention_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    traffic = _traffic_s(layouts, shape, recipe=recipe, rates=rates, tokens=tokens, k=k)
    traffic = k.vintage * (traffic + _unpacking_s(layouts, shape, recipe=recipe, rates=rates, k=k))
    tensor, context, expert, pipeline = _exchanged_s(
        layouts, shape, recipe=recipe, rates=rates, tokens=tokens, attention=attention, k=k
    )
    launch = _launches_s(layouts, shape, recipe=recipe, rates=rates, k=k)
    busy = products + attention + traffic + tensor + context + expert
    # Launches run ahead of the GPU and bind only where there is little to do: a soft maximum of both.
    waiting = (busy**4 + launch**4) ** 0.25 - busy
    micro_s, rounds = busy + waiting + pipeline, micro_batches
    data, optimizer = data_exchange_s(layouts, shape, recipe=recipe, rates=rates, micro_s=micro_s, rounds=rounds, k=k)
    stalled = (layouts.pp - 1) / layouts.vpp
    bubble = micro_s * stalled
    worked = (busy + pipeline) * rounds + bubble + data + optimizer
    # Who waits for n waits for the slowest: by so many standard deviations a mean one falls short of it at most.
    slowest = k.gpu_spread_fraction * np.sqrt(2.0 * np.log(layouts.gpus)) * busy * (rounds + stalled)
    worked = worked + slowest
    fixed = _fixed_s(layouts, shape, recipe=recipe, k=k) + waiting * rounds
    least = _least_s(layouts, shape, recipe=recipe, rates=rates, sequences=layouts.micro_batch * rounds)
    return StepTime(
        products=products * rounds,
        attention=attention * rounds,
        traffic=traffic * rounds,
        tensor=tensor * rounds,
        context=context * rounds,
        expert=expert * rounds,
        pipeline=pipeline * rounds,
        bubble=bubble,
        data=data,
        optimizer=optimizer,
        slowest=slowest,
        fixed=np.maximum(fixed, least - worked),
        rollout=_rollout_s(layouts, shape, recipe=recipe, rates=rates, rounds=rounds, k=k),
    )
