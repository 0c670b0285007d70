"""What binds a serving instance, how busy its parts are, and the working line by line."""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.attention import decode_attention_flop, decode_read_elements
from service.sizing.inference.disaggregated import JOINING_STEPS
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ModelLoad, touched_fraction
from service.sizing.inference.machine import multiply_flop_s
from service.sizing.inference.memory import InferenceMemory
from service.sizing.inference.predict import PointValues
from service.sizing.inference.requests import Traffic
from service.sizing.inference.serving import Bench
from service.sizing.median import median_step
from service.sizing.result import Quantity, WorkingStep
from service.sizing.table import HardwareTable
from service.sizing.units import GB, MS, TB_S, TFLOP_S, US

_CATALOG = "config/hardware/gpus.yaml"
_ZOO = "config/models"
_FIT = "config/calibration/inference.yaml"
_KERNELS = "config/calibration/kernels.yaml"
_METHOD = "service/sizing/METHOD.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFloor:
    """Shortest times of one decode step by what must be moved or multiplied, seconds."""

    weights_s: float
    kv_cache_s: float
    arithmetic_s: float


def step_floor(bench: Bench, values: PointValues, *, table: HardwareTable, context: float, row: int) -> StepFloor:
    """The floor of one candidate at its operating point."""
    load, layouts = bench.load, bench.layouts
    server, tp = layouts.server[row], np.float64(layouts.tp[row])
    bandwidth = float(table.bandwidth_bytes_s[server])
    peak = float(multiply_flop_s(load.multiplied_precision, table)[server])
    ranks = float(layouts.tp[row] * layouts.attention_dp[row])
    sequences = values.batch / float(layouts.attention_dp[row] * layouts.pp[row])
    touched = float(touched_fraction(load.expert_fraction * max(1.0, values.batch)))
    moved = load.trunk_bytes / float(tp) + load.weight_bytes * load.expert_params * touched / ranks
    read = decode_read_elements(load.groups, context_tokens=context, tp=tp)
    score = decode_attention_flop(load.groups, context_tokens=context)
    matmul = 2.0 * (load.trunk_params + load.active_expert_params + load.head_matmul) / float(tp)
    return StepFloor(
        weights_s=moved / bandwidth,
        kv_cache_s=sequences * float(read) * load.kv_bytes / bandwidth,
        arithmetic_s=sequences * (matmul + float(score) / float(tp)) / peak,
    )


def held_sequences(memory: InferenceMemory, layouts: InferenceLayouts, row: int) -> float:
    """Sequences that the memory of one instance holds."""
    return float(memory.sequences_gpu[row]) * float(layouts.attention_dp[row])


def serving_bottleneck(floor: StepFloor, values: PointValues, *, held: float) -> str:
    """What binds: memory, bandwidth for weights or KV cache, prefill or decode arithmetic, or overheads."""
    if values.batch >= 0.98 * held:
        return "GPU memory (KV cache full)"
    if values.prefill_fraction > 0.5:
        return "prefill arithmetic"
    parts = {
        "memory bandwidth (weights)": floor.weights_s,
        "memory bandwidth (KV cache)": floor.kv_cache_s,
        "decode arithmetic": floor.arithmetic_s,
    }
    name, longest = max(parts.items(), key=lambda item: item[1])
    if values.collectives_s > 0.4 * values.decode_step_s:
        return "collectives between GPUs"
    if longest < 0.25 * values.decode_step_s:
        return "launch and scheduling overhead"
    return name


def serving_utilisation(floor: StepFloor, values: PointValues) -> tuple[Quantity, ...]:
    """Shares of the data-sheet peaks that the steady state uses."""
    step = values.decode_step_s
    return (
        Quantity(name="decode_bandwidth_fraction", value=min(1.0, (floor.weights_s + floor.kv_cache_s) / step)),
        Quantity(name="decode_compute_fraction", value=min(1.0, floor.arithmetic_s / step)),
        Quantity(name="prefill_fraction", value=values.prefill_fraction),
    )


def inference_working(
    bench: Bench,
    values: PointValues,
    *,
    memory: InferenceMemory,
    table: HardwareTable,
    traffic: Traffic,
    row: int,
) -> tuple[WorkingStep, ...]:
    """Every quantity in the order it is computed, with its formula, inputs and where they stand."""
    load, layouts = bench.load, bench.layouts
    layout = tuple(
        Quantity(name=name, value=float(getattr(layouts, name)[row])) for name in ("tp", "pp", "attention_dp", "ep")
    )
    return (
        *_memory_steps(load, memory, values, layouts=layouts, layout=layout, row=row),
        *_rate_steps(bench, table, row=row),
        *_pass_steps(bench, values, traffic),
        *_served_steps(bench, values, traffic),
    )


def _pass_steps(bench: Bench, values: PointValues, traffic: Traffic) -> tuple[WorkingStep, ...]:
    """Times of a decode step and of a prompt's passes."""
    return (
        WorkingStep(
            name="decode_step_ms",
            value=values.decode_step_s / MS,
            unit="ms",
            formula="products + attention + experts + streams + collectives, each kernel by its curve times the "
            "engine's factor, + gaps per layer, collective and step + host work per sequence, all x "
            "(1 + untuned_fraction); products and experts with their launches, and attention, take no less than "
            "tpot_least_ms says",
            inputs=(
                Quantity(name="batch", value=values.batch),
                Quantity(name="products_ms", value=values.products_s / MS),
                Quantity(name="attention_ms", value=values.attention_s / MS),
                Quantity(name="experts_ms", value=values.experts_s / MS),
                Quantity(name="streams_ms", value=values.streams_s / MS),
                Quantity(name="collectives_ms", value=values.collectives_s / MS),
                Quantity(name="untuned_fraction", value=float(bench.overheads.untuned_fraction)),
            ),
            source=f"{_METHOD}; {_KERNELS}; {_FIT}",
        ),
        WorkingStep(
            name="prefill_ms",
            value=values.prefill_s / MS,
            unit="ms",
            formula="passes that a prompt takes x time of a pass that carries it beside the decoding sequences",
            inputs=(
                Quantity(name="isl_tokens", value=traffic.isl_tokens),
                Quantity(name="prefix_cache_hit_fraction", value=traffic.hit_fraction),
                Quantity(name="chunk_tokens", value=float(bench.chunk_tokens)),
            ),
            source=f"{_METHOD}; {_KERNELS}; {_FIT}",
        ),
    )


def _served_steps(bench: Bench, values: PointValues, traffic: Traffic) -> tuple[WorkingStep, ...]:
    """What a request sees and an instance carries: as the steady state has it, then with the median, as it is shown."""
    overheads, medians = bench.overheads, bench.medians
    least = WorkingStep(
        name="tpot_least_ms",
        value=values.tpot_least_s / MS,
        unit="ms",
        formula="the longer of bytes of weights / memory bandwidth and their FLOP / dense peak, + the same of "
        "attention with its cache, through all pipeline stages, by the data sheet / accepted tokens: no curve of "
        "measured kernels and no median goes under it",
        inputs=(
            Quantity(name="batch", value=values.batch),
            Quantity(name="accepted_tokens", value=traffic.accepted_tokens),
        ),
        source=f"{_METHOD}; {_CATALOG}",
    )
    tpot = WorkingStep(
        name="tpot_ms",
        value=values.tpot_s / medians.tpot_factor / MS,
        unit="ms",
        formula="(decode_step + interference x prompts of others per step x what each adds) / accepted tokens",
        inputs=(
            Quantity(name="interference", value=float(overheads.interference)),
            Quantity(name="accepted_tokens", value=traffic.accepted_tokens),
        ),
        source=f"{_METHOD}; {_FIT}",
    )
    ttft = WorkingStep(
        name="ttft_ms",
        value=values.ttft_s / medians.ttft_factor / MS,
        unit="ms",
        formula="prefill + wait behind other prompts + steps until it joins + host, per request and per prompt token",
        inputs=(
            Quantity(
                name="admission_steps",
                value=JOINING_STEPS if bench.disaggregated else float(overheads.admission_steps),
            ),
            Quantity(name="prefill_fraction", value=values.prefill_fraction),
            Quantity(name="ttft_overhead_ms", value=float(overheads.ttft_s) / MS),
        ),
        source=f"{_METHOD}; {_FIT}",
    )
    rate = WorkingStep(
        name="requests_s_instance",
        value=values.requests_s / medians.rate_factor,
        unit="requests/s",
        formula="batch / (osl / accepted tokens x step)",
        inputs=(
            Quantity(name="batch", value=values.batch),
            Quantity(name="osl_tokens", value=traffic.osl_tokens),
        ),
        source=_METHOD,
    )
    return (
        least,
        tpot,
        median_step(tpot, medians.tpot_factor, name="tpot_p50_ms", source=_FIT),
        ttft,
        median_step(ttft, medians.ttft_factor, name="ttft_p50_ms", source=_FIT),
        rate,
        median_step(rate, medians.rate_factor, name="requests_s_instance_p50", source=_FIT),
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
            inputs=(Quantity(name="reserve_gb", value=float(memory.reserve[row]) / GB),),
            source=f"{_CATALOG}; config/assumptions.yaml",
        ),
        WorkingStep(
            name="batch",
            value=values.batch,
            unit="sequences per instance",
            formula="solved for the load; at most (usable - weights - activations - reserve) / sequence x attention_dp",
            inputs=(Quantity(name="sequences_held", value=held_sequences(memory, layouts, row)),),
            source=_METHOD,
        ),
    )


def _rate_steps(bench: Bench, table: HardwareTable, *, row: int) -> tuple[WorkingStep, ...]:
    """What the data sheet gives the GPU, and the factors on it by which the curve of the largest products tells time.

    Launch, arithmetic and traffic are fitted together: a factor may exceed 1 where another part holds its time.
    """
    load, server = bench.load, int(bench.layouts.server[row])
    curve = bench.machine.ffn
    peak = float(multiply_flop_s(load.multiplied_precision, table)[server])
    bandwidth = float(table.bandwidth_bytes_s[server])
    return (
        WorkingStep(
            name="product_arithmetic_factor",
            value=float(curve.flop_s[row, 0]) / peak,
            unit="",
            formula="fitted on measured products: time of arithmetic = FLOP / (factor x dense peak of the data sheet)",
            inputs=(Quantity(name=f"{load.multiplied_precision}_dense_tflops", value=peak / TFLOP_S),),
            source=f"{_CATALOG}; {_KERNELS}",
        ),
        WorkingStep(
            name="product_traffic_factor",
            value=float(curve.bytes_s[row, 0]) / bandwidth,
            unit="",
            formula="fitted on measured products: time of traffic = bytes at the weight precision / (factor x memory "
            "bandwidth of the data sheet), beside launch_us; above 1 the launch holds a part of it or the cache held "
            "the weights, and tpot_least_ms keeps the step from being faster than the memory",
            inputs=(
                Quantity(name="memory_bandwidth_tb_s", value=bandwidth / TB_S),
                Quantity(name="launch_us", value=float(curve.launch_s[row, 0]) / US),
            ),
            source=f"{_CATALOG}; {_KERNELS}",
        ),
    )
