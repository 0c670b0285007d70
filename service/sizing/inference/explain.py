"""What binds a serving instance, how busy its parts are, and the working line by line."""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.inference.attention import decode_attention_flop, decode_read_elements
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.memory import InferenceMemory
from service.sizing.inference.predict import PointValues
from service.sizing.inference.serving import Traffic
from service.sizing.inference.step import multiply_flop_s
from service.sizing.result import Quantity, WorkingStep
from service.sizing.table import HardwareTable
from service.sizing.units import GB, MS, TB_S, TFLOP_S

_CATALOG = "config/hardware/gpus.yaml"
_ZOO = "config/models"
_FIT = "config/calibration/inference.yaml"
_METHOD = "service/sizing/METHOD.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Floor:
    """Shortest times of one decode step by what must be moved or multiplied, seconds."""

    weights_s: float
    kv_cache_s: float
    arithmetic_s: float


def _floor(
    load: ModelLoad, layouts: InferenceLayouts, values: PointValues, *, table: HardwareTable, context: float, row: int
) -> _Floor:
    server, tp = layouts.server[row], np.float64(layouts.tp[row])
    bandwidth = float(table.bandwidth_bytes_s[server])
    peak = float(multiply_flop_s(load.weight_precision, table, layouts.server[row : row + 1])[0])
    ranks = float(layouts.tp[row] * layouts.attention_dp[row])
    sequences = values.batch / float(layouts.attention_dp[row] * layouts.pp[row])
    touched = 1.0 - (1.0 - load.expert_fraction) ** max(1.0, values.batch)
    moved = load.weight_bytes * (load.trunk_params / float(tp) + load.expert_params * touched / ranks)
    read = decode_read_elements(load.groups, context_tokens=context, tp=tp)
    score = decode_attention_flop(load.groups, context_tokens=context)
    matmul = 2.0 * (load.trunk_params + load.active_expert_params + load.head_matmul) / float(tp)
    return _Floor(
        weights_s=moved / bandwidth,
        kv_cache_s=sequences * float(read) * load.kv_bytes / bandwidth,
        arithmetic_s=sequences * (matmul + float(score) / float(tp)) / peak,
    )


def serving_bottleneck(
    load: ModelLoad,
    layouts: InferenceLayouts,
    values: PointValues,
    *,
    table: HardwareTable,
    memory: InferenceMemory,
    traffic: Traffic,
    row: int,
) -> str:
    """What binds: memory, bandwidth for weights or KV cache, prefill or decode arithmetic, or overheads."""
    held = float(memory.sequences_gpu[row]) * float(layouts.attention_dp[row])
    if values.batch >= 0.98 * held:
        return "GPU memory (KV cache full)"
    if values.prefill_fraction > 0.5:
        return "prefill arithmetic"
    floor = _floor(load, layouts, values, table=table, context=traffic.decode_context_tokens, row=row)
    parts = {
        "memory bandwidth (weights)": floor.weights_s,
        "memory bandwidth (KV cache)": floor.kv_cache_s,
        "decode arithmetic": floor.arithmetic_s,
    }
    name, longest = max(parts.items(), key=lambda item: item[1])
    if longest < 0.25 * values.decode_step_s:
        return "launch, collective and scheduling overhead"
    return name


def serving_utilisation(
    load: ModelLoad,
    layouts: InferenceLayouts,
    values: PointValues,
    *,
    table: HardwareTable,
    traffic: Traffic,
    row: int,
) -> tuple[Quantity, ...]:
    """Shares of the data-sheet peaks that the steady state uses."""
    floor = _floor(load, layouts, values, table=table, context=traffic.decode_context_tokens, row=row)
    step = values.decode_step_s
    return (
        Quantity(name="decode_bandwidth_fraction", value=min(1.0, (floor.weights_s + floor.kv_cache_s) / step)),
        Quantity(name="decode_compute_fraction", value=min(1.0, floor.arithmetic_s / step)),
        Quantity(name="prefill_fraction", value=values.prefill_fraction),
    )


def inference_working(
    load: ModelLoad,
    layouts: InferenceLayouts,
    values: PointValues,
    *,
    memory: InferenceMemory,
    table: HardwareTable,
    traffic: Traffic,
    calibration: Calibration,
    row: int,
) -> tuple[WorkingStep, ...]:
    """Every quantity in the order it is computed, with its formula, inputs and where they stand."""
    server = layouts.server[row]
    layout = (
        Quantity(name="tp", value=float(layouts.tp[row])),
        Quantity(name="pp", value=float(layouts.pp[row])),
        Quantity(name="attention_dp", value=float(layouts.attention_dp[row])),
    )
    return (
        *_memory_steps(load, memory, values, layouts=layouts, layout=layout, row=row),
        *_rate_steps(load, table, calibration, server=int(server)),
        WorkingStep(
            name="decode_step_ms",
            value=values.decode_step_s / MS,
            unit="ms",
            formula="p-norm(FLOP / rate, bytes / rate) of trunk, experts, head + attention + collectives + overheads",
            inputs=(Quantity(name="batch", value=values.batch), *layout),
            source=_METHOD,
        ),
        WorkingStep(
            name="prefill_ms",
            value=values.prefill_s / MS,
            unit="ms",
            formula="forward(pass tokens) x new / pass tokens + causal attention FLOP / rate",
            inputs=(
                Quantity(name="isl_tokens", value=traffic.isl_tokens),
                Quantity(name="prefix_cache_hit_fraction", value=traffic.hit_fraction),
            ),
            source=_METHOD,
        ),
        WorkingStep(
            name="tpot_ms",
            value=values.tpot_s / MS,
            unit="ms",
            formula="(decode_step + interference x arriving prompts x prefill) / accepted tokens",
            inputs=(
                Quantity(name="interference", value=calibration.coefficient("inference.prefill_interference")),
                Quantity(name="accepted_tokens", value=traffic.accepted_tokens),
            ),
            source=f"{_METHOD}; {_FIT}",
        ),
        WorkingStep(
            name="ttft_ms",
            value=values.ttft_s / MS,
            unit="ms",
            formula="prefill x (1 + rho / (2 (1 - rho))) + decode_step + host",
            inputs=(Quantity(name="prefill_fraction", value=values.prefill_fraction),),
            source=f"{_METHOD}; {_FIT}",
        ),
        WorkingStep(
            name="requests_s_instance",
            value=values.requests_s,
            unit="requests/s",
            formula="batch / (osl / accepted tokens x step)",
            inputs=(
                Quantity(name="batch", value=values.batch),
                Quantity(name="osl_tokens", value=traffic.osl_tokens),
            ),
            source=_METHOD,
        ),
    )


def _memory_steps(
    load: ModelLoad,
    memory: InferenceMemory,
    values: PointValues,
    *,
    layouts: InferenceLayouts,
    layout: tuple[Quantity, ...],
    row: int,
) -> tuple[WorkingStep, ...]:
    return (
        WorkingStep(
            name="weights_gb",
            value=float(memory.weights[row]) / GB,
            unit="GB per GPU",
            formula="trunk x bytes / (tp pp) + experts x bytes / GPUs + 2 x tables / tp",
            inputs=(
                Quantity(name="params_b", value=load.params_b),
                Quantity(name="bytes_per_weight", value=load.weight_bytes),
                *layout,
            ),
            source=f"{_ZOO}/{load.architecture.id}.yaml",
        ),
        WorkingStep(
            name="kv_cache_gb_sequence",
            value=float(memory.sequence[row]) / GB,
            unit="GB per sequence and GPU",
            formula="(elements per token x tokens + windowed + state) x bytes / shards / pp",
            inputs=(
                Quantity(name="kv_elements_per_token", value=load.counts.kv_elements_per_token),
                Quantity(name="bytes_per_element", value=load.kv_bytes),
            ),
            source=f"{_ZOO}/{load.architecture.id}.yaml",
        ),
        WorkingStep(
            name="memory_usable_gb",
            value=float(memory.usable[row]) / GB,
            unit="GB per GPU",
            formula="visible memory x usable fraction",
            inputs=(Quantity(name="reserve_gb", value=memory.reserve / GB),),
            source=f"{_CATALOG}; config/assumptions.yaml",
        ),
        WorkingStep(
            name="batch",
            value=values.batch,
            unit="sequences per instance",
            formula="solved for the load; at most (usable - weights - activations - reserve) / sequence x attention_dp",
            inputs=(
                Quantity(
                    name="sequences_held", value=float(memory.sequences_gpu[row]) * float(layouts.attention_dp[row])
                ),
            ),
            source=_METHOD,
        ),
    )


def _rate_steps(
    load: ModelLoad, table: HardwareTable, calibration: Calibration, *, server: int
) -> tuple[WorkingStep, ...]:
    scopes = (f"{load.label}/{load.weight_precision}", load.label, str(load.weight_precision))
    gemm = calibration.coefficient("inference.gemm_efficiency", *scopes)
    traffic = calibration.coefficient("inference.bandwidth_efficiency", *scopes)
    rows = np.array([server])
    peak = float(multiply_flop_s(load.weight_precision, table, rows)[0])
    return (
        WorkingStep(
            name="sustained_dense_tflops",
            value=peak * gemm / TFLOP_S,
            unit="TFLOPS per GPU",
            formula="dense peak x gemm_efficiency x tokens / (tokens + half)",
            inputs=(
                Quantity(name=f"{load.weight_precision}_dense_tflops", value=peak / TFLOP_S),
                Quantity(name="gemm_efficiency", value=gemm),
            ),
            source=f"{_CATALOG}; {_FIT}",
        ),
        WorkingStep(
            name="sustained_bandwidth_tb_s",
            value=float(table.bandwidth_bytes_s[server]) * traffic / TB_S,
            unit="TB/s per GPU",
            formula="memory bandwidth x bandwidth_efficiency",
            inputs=(Quantity(name="bandwidth_efficiency", value=traffic),),
            source=f"{_CATALOG}; {_FIT}",
        ),
    )
