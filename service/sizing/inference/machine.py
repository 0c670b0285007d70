"""Machine: what the GPUs of each candidate sustain in each operation of one model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from service.sizing.architecture import MixerKind
from service.sizing.calibration import Calibration
from service.sizing.inference.attention import AttentionFamily
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ModelLoad, as_released_in_mxfp4
from service.sizing.inference.product_times import ProductTimes, product_times
from service.sizing.inference.software import Software
from service.sizing.network import span_bytes_s
from service.sizing.operation import Curves, Formats, Operation, curves_of, general_kernels
from service.sizing.precision import Precision
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.units import US
from service.sizing.workload import ServingEngine

# Formats in which a product may have been measured, the nearest first; INT4 weights are unpacked to 16 bit.
_PLAIN: Formats = (("bf16",),)
_PRODUCT: dict[Precision, Formats] = {
    Precision.FP8: (("fp8", "fp8_block"), ("bf16",)),
    Precision.INT8: (("fp8", "fp8_block"), ("bf16",)),
    Precision.FP4: (("fp4",), ("bf16",)),
    Precision.INT4: (("int4",), ("bf16",)),
}
_EXPERTS: dict[Precision, Formats] = {
    **_PRODUCT,
    Precision.FP4: (("fp4",), ("mxfp4",), ("int4",), ("bf16",)),
    Precision.INT4: (("int4",), ("mxfp4",), ("bf16",)),
}
_BLOCK_EXPERTS: Formats = (("fp8_block", "fp8"), ("bf16",))
_CONTEXT = {
    AttentionFamily.SOFTMAX: Operation.CONTEXT_ATTENTION,
    AttentionFamily.NARROW: Operation.CONTEXT_NARROW,
    AttentionFamily.WIDE: Operation.CONTEXT_WIDE,
    AttentionFamily.LATENT: Operation.CONTEXT_MLA,
    AttentionFamily.SPARSE: Operation.CONTEXT_SPARSE,
    AttentionFamily.COMPRESSED: Operation.CONTEXT_COMPRESSED,
    AttentionFamily.RECURRENT: Operation.CONTEXT_RECURRENCE,
}
_GENERATION = {
    AttentionFamily.SOFTMAX: Operation.GENERATION_ATTENTION,
    AttentionFamily.NARROW: Operation.GENERATION_ATTENTION,
    AttentionFamily.WIDE: Operation.GENERATION_ATTENTION,
    AttentionFamily.LATENT: Operation.GENERATION_MLA,
    AttentionFamily.SPARSE: Operation.GENERATION_MLA,
    AttentionFamily.COMPRESSED: Operation.GENERATION_MLA,
    AttentionFamily.RECURRENT: Operation.GENERATION_RECURRENCE,
}
_MXFP4_EXPERTS: Formats = (("mxfp4",), ("fp4",), ("int4",), ("bf16",))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Machine:
    """Curves and links per candidate, shaped (candidates, 1) so that a batch axis broadcasts against them.

    `ffn` is the curve of the largest products, `context` and `generation` are the attention curves of prefill and
    decode by family.
    """

    tp: IntArray
    pp: IntArray
    attention_dp: IntArray
    ep: IntArray
    products: ProductTimes
    ffn: Curves
    context: dict[AttentionFamily, Curves]
    generation: dict[AttentionFamily, Curves]
    experts: Curves | None
    all_reduce: Curves
    exchange: Curves | None
    # The data sheet's, by number format of what is multiplied; without end where it has no figure.
    peak_flop_s: dict[Precision, FloatArray]
    stream_bytes_s: FloatArray
    crosses_s: FloatArray
    stage_bytes_s: FloatArray
    transfer_bytes_s: FloatArray
    # How much longer the processor beside the GPUs takes for what prompts ask of it than those of most systems.
    host_factor: FloatArray

    def take(self, rows: IntArray) -> "Machine":
        """The candidates of these rows, in their order; one and the same for whoever asks for the same ones."""
        return _taken(self, rows.tobytes())


# Both modes of serving ask for the same rows, and so do questions about one model that fits in the same memories.
# Each model that is asked about by turns takes some: layouts that fit, those that become options, and the first one.
@lru_cache(maxsize=16)
def _taken(machine: Machine, int64_rows: bytes) -> Machine:
    rows = np.frombuffer(int64_rows, dtype=np.int64)

    def families(curves: dict[AttentionFamily, Curves]) -> dict[AttentionFamily, Curves]:
        return {family: one.take(rows) for family, one in curves.items()}

    return Machine(
        tp=machine.tp[rows],
        pp=machine.pp[rows],
        attention_dp=machine.attention_dp[rows],
        ep=machine.ep[rows],
        products=machine.products.take(rows),
        ffn=machine.ffn.take(rows),
        context=families(machine.context),
        generation=families(machine.generation),
        experts=None if machine.experts is None else machine.experts.take(rows),
        all_reduce=machine.all_reduce.take(rows),
        exchange=None if machine.exchange is None else machine.exchange.take(rows),
        peak_flop_s={precision: peak[rows] for precision, peak in machine.peak_flop_s.items()},
        stream_bytes_s=machine.stream_bytes_s[rows],
        crosses_s=machine.crosses_s[rows],
        stage_bytes_s=machine.stage_bytes_s[rows],
        transfer_bytes_s=machine.transfer_bytes_s[rows],
        host_factor=machine.host_factor[rows],
    )


@lru_cache(maxsize=64)
def multiply_flop_s(precision: Precision, table: HardwareTable) -> FloatArray:
    """Dense peak [FLOP/s] of every server for weights of this format; 16 bit on GPUs without the format."""
    peak, fallback = table.flop_s[precision], table.flop_s[Precision.BF16]
    fallback = np.where(np.isnan(fallback), table.flop_s[Precision.FP16], fallback)
    found = np.where(np.isnan(peak), fallback, peak)
    # Every sizing of this catalog shares it.
    found.flags.writeable = False
    return found


def _peaks(load: ModelLoad, table: HardwareTable, server: IntArray) -> dict[Precision, FloatArray]:
    """Of the formats that a pass multiplies in, (candidates, 1)."""
    formats = {load.multiplied_precision, load.mixer_precision, load.kv_precision, Precision.BF16}
    peaks = {precision: multiply_flop_s(precision, table)[server, None] for precision in formats}
    return {precision: np.where(np.isnan(peak), np.inf, peak) for precision, peak in peaks.items()}


def machine_of(
    load: ModelLoad, layouts: InferenceLayouts, *, software: Software, table: HardwareTable, calibration: Calibration
) -> Machine:
    """The curves of every candidate for this model's operations."""
    server = layouts.server
    ranks = layouts.tp * layouts.attention_dp
    domain = table.scale_up_gpus[server]
    up, out = table.scale_up_bytes_s[server], table.scale_out_bytes_s[server]
    bandwidth = table.bandwidth_bytes_s[server]
    latency_us = calibration.coefficient("inference.scale_out_latency_us")
    find = _Finder(load, table, server, str(software.engine), calibration)
    tp = layouts.tp[:, None]
    all_reduce = find.link(Operation.ALL_REDUCE, _span(layouts.tp, domain, up, out))
    ffn = find.memory(Operation.PRODUCT, _PRODUCT.get(load.multiplied_precision, _PLAIN))
    return Machine(
        tp=tp,
        pp=layouts.pp[:, None],
        attention_dp=layouts.attention_dp[:, None],
        ep=layouts.ep[:, None],
        products=product_times(
            load,
            tp=tp,
            mixer=find.memory(Operation.PRODUCT, _PRODUCT.get(load.mixer_precision, _PLAIN)),
            ffn=ffn,
            head=find.memory(Operation.PRODUCT, _PLAIN),
        ),
        ffn=ffn,
        context=find.attention(_CONTEXT),
        generation=find.attention(_GENERATION),
        experts=find.experts(software) if load.is_moe else None,
        all_reduce=replace(all_reduce, spread=_spread(all_reduce.spread, table.switched[server], tp > domain[:, None])),
        exchange=find.link(Operation.EXCHANGE, _span(ranks, domain, up, out)) if load.is_moe else None,
        peak_flop_s=_peaks(load, table, server),
        stream_bytes_s=bandwidth[:, None],
        crosses_s=np.where(ranks > domain, latency_us * US, 0.0)[:, None],
        stage_bytes_s=np.where(layouts.pp * ranks <= domain, up, out)[:, None],
        transfer_bytes_s=out[:, None],
        host_factor=_host_factors(table, calibration)[server, None],
    )


def _spread(measured: FloatArray, switched: BoolArray, between: BoolArray) -> FloatArray:
    """With which power of 2 (n-1) / n an all-reduce over n GPUs goes: one between servers, where nothing is shared.

    Only switches sum on the way, so that a GPU without one takes no power under one from kin that have them.
    """
    inside = np.where(switched[:, None], measured, np.maximum(1.0, measured))
    return np.where(between, 1.0, inside)


def _host_factors(table: HardwareTable, calibration: Calibration) -> FloatArray:
    """Of every server, by the processor that its GPUs come with."""
    return np.array([calibration.coefficient("inference.host_factor", gpu.id) for gpu in table.gpus])


def _span(ranks: IntArray, domain: IntArray, up: FloatArray, out: FloatArray) -> FloatArray:
    return span_bytes_s(ranks=ranks, domain_gpus=domain, scale_up_bytes_s=up, scale_out_bytes_s=out)


def _expert_formats(load: ModelLoad, engine: ServingEngine) -> Formats:
    """MLA models are published with FP8 scales by block, most others with one by tensor; gpt-oss in MXFP4.

    TensorRT-LLM brings block-scaled kernels of its own, which nobody measured on most GPUs: those with one scale by
    tensor are nearer to them than the general kernels of other engines.
    """
    if as_released_in_mxfp4(load.architecture, load.weight_precision):
        return _MXFP4_EXPERTS
    latent = any(mixer.kind is MixerKind.MLA for mixer in load.architecture.mixers)
    if load.weight_precision is Precision.FP8 and latent and engine is not ServingEngine.TENSORRT_LLM:
        return _BLOCK_EXPERTS
    return _EXPERTS.get(load.multiplied_precision, _PLAIN)


def _is_general(load: ModelLoad) -> bool:
    """Experts in 16 bit, or in 8 bit but for MLA models: engines brought kernels of their own for DeepSeek's first."""
    latent = any(mixer.kind is MixerKind.MLA for mixer in load.architecture.mixers)
    return load.weight_precision is Precision.BF16 or (load.weight_precision is Precision.FP8 and not latent)


@dataclass(frozen=True, slots=True)
class _Finder:
    """Curves of one model on the servers of the candidates, under one serving engine."""

    load: ModelLoad
    table: HardwareTable
    server: IntArray
    engine: str
    calibration: Calibration

    def memory(self, operation: Operation, formats: Formats) -> Curves:
        """An operation that arithmetic or memory bandwidth binds."""
        return self._of(operation, formats, self.table.bandwidth_bytes_s[self.server])

    def experts(self, software: Software) -> Curves:
        """Routed experts, by the kernel that the engine of that month brings for such a model."""
        general = software.general_experts and _is_general(self.load)
        find = replace(self, engine=general_kernels(self.engine)) if general else self
        return find.memory(Operation.EXPERTS, _expert_formats(self.load, software.engine))

    def link(self, operation: Operation, link_bytes_s: FloatArray) -> Curves:
        """A collective: its bytes cross the link."""
        return self._of(operation, _PLAIN, link_bytes_s)

    def attention(self, operations: Mapping[AttentionFamily, Operation]) -> dict[AttentionFamily, Curves]:
        """The curves of the families that the model has; prompts too short to choose from attend to all of a latent."""
        cache: Formats = (("bf16",), ("fp8",))
        if self.load.kv_precision in {Precision.FP8, Precision.FP4}:
            cache = (("fp8",), ("bf16",))
        families = {group.family for group in self.load.groups}
        if AttentionFamily.SPARSE in families:
            families.add(AttentionFamily.LATENT)
        return {family: self.memory(operations[family], cache) for family in operations if family in families}

    def _of(self, operation: Operation, formats: Formats, bytes_s: FloatArray) -> Curves:
        return curves_of(
            self.calibration.curves,
            operation,
            table=self.table,
            server=self.server,
            engine=self.engine,
            formats=formats,
            peak_bytes_s=bytes_s,
        )
