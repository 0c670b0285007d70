"""Time of one decode step and of one prefill on one model instance; arrays (candidates x batches) or scalars."""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.compute import saturating_efficiency, smooth_roofline_s
from service.sizing.inference.attention import decode_attention_flop, decode_read_elements, prefill_attention_flop
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ACTIVATION_BYTES, ModelLoad
from service.sizing.network import all_reduce_s, all_to_all_s, point_to_point_s, span_bytes_s, span_latency_s
from service.sizing.numeric import Numeric
from service.sizing.precision import Precision
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.units import US


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Machine:
    """What the GPUs of each candidate sustain, shaped (candidates, 1) so that a batch axis broadcasts against it."""

    tp: IntArray
    pp: IntArray
    attention_dp: IntArray
    flop_s: FloatArray
    attention_flop_s: FloatArray
    bytes_s: FloatArray
    attention_bytes_s: FloatArray
    link_bytes_s: FloatArray
    link_latency_s: FloatArray
    stage_bytes_s: FloatArray
    transfer_bytes_s: FloatArray
    half_tokens: float
    overlap_order: float
    layer_overhead_s: float
    step_overhead_s: float
    sequence_overhead_s: float
    expert_imbalance: float


def multiply_flop_s(precision: Precision, table: HardwareTable, server: IntArray) -> FloatArray:
    """Dense peak [FLOP/s] at which weights of this format are multiplied; 16 bit on GPUs without the format."""
    peak = table.flop_s[precision][server]
    fallback = table.flop_s[Precision.BF16][server]
    fallback = np.where(np.isnan(fallback), table.flop_s[Precision.FP16][server], fallback)
    return np.where(np.isnan(peak), fallback, peak)


def machine_of(
    load: ModelLoad, layouts: InferenceLayouts, *, table: HardwareTable, calibration: Calibration
) -> Machine:
    """Sustained rates of every candidate: peaks of the data sheet times fitted efficiencies."""
    server = layouts.server
    precision = load.weight_precision
    peak = multiply_flop_s(precision, table, server)
    bf16 = multiply_flop_s(Precision.BF16, table, server)
    bandwidth = table.bandwidth_bytes_s[server]
    ranks = layouts.tp * layouts.attention_dp
    domain = table.scale_up_gpus[server]
    links = {"ranks": ranks, "domain_gpus": domain}
    up, out = table.scale_up_bytes_s[server], table.scale_out_bytes_s[server]
    fitted = _Fitted(calibration, precision, load.label)

    def column(values: FloatArray) -> FloatArray:
        return np.asarray(values, dtype=np.float64)[:, None]

    link = span_bytes_s(**links, scale_up_bytes_s=up, scale_out_bytes_s=out)
    return Machine(
        tp=layouts.tp[:, None],
        pp=layouts.pp[:, None],
        attention_dp=layouts.attention_dp[:, None],
        flop_s=column(peak * fitted.of("gemm_efficiency")),
        attention_flop_s=column(bf16 * fitted.of("attention_efficiency")),
        bytes_s=column(bandwidth * fitted.of("bandwidth_efficiency")),
        attention_bytes_s=column(bandwidth * fitted.of("attention_bandwidth_efficiency")),
        link_bytes_s=column(link * fitted.of("link_efficiency")),
        link_latency_s=column(
            span_latency_s(
                **links,
                scale_up_s=fitted.of("scale_up_latency_us") * US,
                scale_out_s=fitted.of("scale_out_latency_us") * US,
            )
        ),
        stage_bytes_s=column(np.where(layouts.pp * ranks <= domain, up, out)),
        transfer_bytes_s=column(out),
        half_tokens=fitted.of("gemm_half_tokens"),
        overlap_order=fitted.of("overlap_order"),
        layer_overhead_s=fitted.of("layer_overhead_us") * US,
        step_overhead_s=fitted.of("step_overhead_us") * US,
        sequence_overhead_s=fitted.of("sequence_overhead_us") * US,
        expert_imbalance=fitted.of("expert_imbalance") if load.is_moe else 1.0,
    )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Look-ups of inference coefficients, most specific scope first."""

    calibration: Calibration
    precision: Precision
    label: str

    def of(self, name: str) -> float:
        return self.calibration.coefficient(
            f"inference.{name}", f"{self.label}/{self.precision}", self.label, str(self.precision)
        )


def forward_s(load: ModelLoad, machine: Machine, *, tokens: Numeric, sampled: Numeric) -> FloatArray:
    """Time [s] of the matrix products, collectives and launches of one forward pass, attention scores apart.

    `tokens` are the tokens of one attention rank in one pipeline micro-batch, `sampled` those that need logits.
    """
    tp, ranks = machine.tp, machine.tp * machine.attention_dp
    efficiency = saturating_efficiency(tokens, peak=1.0, half=machine.half_tokens)
    trunk = smooth_roofline_s(
        flop=2.0 * load.trunk_params * tokens / tp,
        moved_bytes=load.trunk_params * load.weight_bytes / tp,
        flop_s=machine.flop_s * efficiency,
        bytes_s=machine.bytes_s,
        order=machine.overlap_order,
    )
    head = smooth_roofline_s(
        flop=2.0 * load.head_matmul * sampled / tp,
        moved_bytes=ACTIVATION_BYTES * load.head_matmul / tp,
        flop_s=machine.flop_s * efficiency,
        bytes_s=machine.bytes_s,
        order=machine.overlap_order,
    )
    layers = load.architecture.layers
    overhead = layers * machine.layer_overhead_s + machine.step_overhead_s
    total = trunk + head + overhead + _reduce_s(load, machine, tokens=tokens)
    if load.is_moe:
        total = total + _experts_s(load, machine, tokens=tokens, ranks=ranks)
    return np.asarray(total, dtype=np.float64)


def _experts_s(load: ModelLoad, machine: Machine, *, tokens: Numeric, ranks: IntArray) -> FloatArray:
    """Routed experts [s]: only experts that some token chose are read; the slowest rank sets the pace."""
    everywhere = np.asarray(tokens * machine.attention_dp, dtype=np.float64)
    touched = 1.0 - (1.0 - load.expert_fraction) ** everywhere
    per_expert = everywhere * load.expert_fraction
    efficiency = saturating_efficiency(per_expert, peak=1.0, half=machine.half_tokens)
    products = smooth_roofline_s(
        flop=2.0 * load.active_expert_params * everywhere / ranks * machine.expert_imbalance,
        moved_bytes=load.expert_params * touched * load.weight_bytes / ranks,
        flop_s=machine.flop_s * efficiency,
        bytes_s=machine.bytes_s,
        order=machine.overlap_order,
    )
    moe_layers = sum(f.count for f in load.architecture.ffns if f.experts)
    exchange = all_to_all_s(
        sent_bytes=2.0 * tokens * load.top_k * load.architecture.hidden * ACTIVATION_BYTES / machine.tp,
        ranks=machine.attention_dp,
        bytes_s=machine.link_bytes_s,
        latency_s=2.0 * machine.link_latency_s,
    )
    return np.asarray(products + moe_layers * exchange, dtype=np.float64)


def _reduce_s(load: ModelLoad, machine: Machine, *, tokens: Numeric) -> FloatArray:
    """Tensor-parallel all-reduces [s], two per layer, and the hand-over between pipeline stages."""
    sent = np.asarray(tokens * load.architecture.hidden * ACTIVATION_BYTES, dtype=np.float64)
    reduce = all_reduce_s(
        sent_bytes=sent, ranks=machine.tp, bytes_s=machine.link_bytes_s, latency_s=machine.link_latency_s
    )
    hand_over = point_to_point_s(
        sent_bytes=sent / machine.tp, bytes_s=machine.stage_bytes_s, latency_s=machine.link_latency_s
    )
    return np.asarray(2.0 * load.architecture.layers * reduce + (machine.pp - 1) * hand_over, dtype=np.float64)


def decode_step_s(
    load: ModelLoad, machine: Machine, *, batch: Numeric, context_tokens: Numeric, query_tokens: float
) -> FloatArray:
    """Time [s] in which each of `batch` sequences of an instance advances by one step of `query_tokens` tokens.

    With pp stages, pp micro-batches are under way; each crosses all stages once per step.
    """
    sequences = batch / (machine.attention_dp * machine.pp)
    tokens = np.maximum(1.0, sequences) * query_tokens
    read = decode_read_elements(load.groups, context_tokens=context_tokens, tp=machine.tp)
    score = decode_attention_flop(load.groups, context_tokens=context_tokens)
    attention = np.maximum(
        sequences * read * load.kv_bytes / machine.attention_bytes_s,
        sequences * query_tokens * score / machine.tp / machine.attention_flop_s,
    )
    host = machine.sequence_overhead_s * batch
    return forward_s(load, machine, tokens=tokens, sampled=tokens) + attention + host


def prefill_s(
    load: ModelLoad, machine: Machine, *, new_tokens: Numeric, cached_tokens: Numeric, pass_tokens: Numeric
) -> FloatArray:
    """Time [s] that one prompt of `new_tokens` occupies one attention rank when passes carry `pass_tokens` tokens."""
    one_pass = forward_s(load, machine, tokens=pass_tokens, sampled=1.0)
    score = prefill_attention_flop(load.groups, new_tokens=new_tokens, cached_tokens=cached_tokens)
    return np.asarray(
        one_pass * new_tokens / pass_tokens + score / machine.tp / machine.attention_flop_s, dtype=np.float64
    )
