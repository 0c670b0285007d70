"""Rates: what one GPU of each candidate's server can do and reach, as arrays aligned with the layouts (SI units)."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import GpuSpec
from service.sizing.numeric import Numeric
from service.sizing.operation import ANY_ENGINE, CurveBook, Curves, Formats, Operation, curves_of
from service.sizing.precision import Precision
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.training.experts import fused_experts
from service.sizing.training.recipe import grouped_precision
from service.sizing.training.rollout import Decoding
from service.sizing.units import US

# Factors on kernels are fitted per generation of tensor cores, which the compute capability names.
_GENERATIONS = {
    "8.0": "ampere",
    "8.6": "ampere",
    "8.9": "ada",
    "9.0": "hopper",
    "10.0": "blackwell",
    "10.3": "blackwell_ultra",
    "11.0": "blackwell_ultra",
    "12.0": "blackwell_rtx",
    "12.1": "blackwell_rtx",
}


# Recipes of vendors for these capture layers as graphs, which hardly launch anything.
_CAPTURED = frozenset({"blackwell", "blackwell_ultra"})


# Recipes that multiply and activate experts in one kernel capture whole steps as one graph on racks and on B300
# (github.com/NVIDIA-NeMo/Megatron-Bridge, perf_recipes: cuda_graph_impl "full_iteration").
_WHOLE, _RACK_GPUS = "blackwell_ultra", 8


def _whole(table: HardwareTable) -> BoolArray:
    return np.array([generation(gpu) == _WHOLE for gpu in table.gpus]) | (table.domain_gpus > _RACK_GPUS)


def is_captured(table: HardwareTable) -> BoolArray:
    """Systems whose GPUs are so fast that a vendor's recipes capture what they launch."""
    return np.array([generation(gpu) in _CAPTURED for gpu in table.gpus])


def generation(gpu: GpuSpec) -> str:
    """The tensor-core generation of a GPU, the scope of fitted efficiencies."""
    return _GENERATIONS.get(gpu.compute_capability or "", "unknown")


def is_trained(gpu: GpuSpec, calibration: Calibration) -> bool:
    """Whether trainings on GPUs of its generation were fitted; of others the kernels are known alone."""
    return calibration.coefficient("training.product_peak_fraction", generation(gpu)) > 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rates:
    """Per candidate. Curves are those of single kernels; `domain` is the GPUs that the fast link joins.

    `product_factor` is what products of a training take over their kernels on this generation at this precision.
    """

    products: Curves
    grouped: Curves
    wide: Curves
    attention: Curves
    latent: Curves
    scan: Curves
    # Passes of the policy where sequences are decoded before they train.
    decoding: Decoding | None
    product_factor: FloatArray
    grouped_factor: FloatArray
    wide_factor: FloatArray
    attention_factor: FloatArray
    latent_factor: FloatArray
    # Elementwise work of stacks that do not fuse it over that of those that do.
    vector_factor: FloatArray
    # Launches over those of a vendor's layers that are not captured as graphs.
    launch_factor: FloatArray
    # 1 where one kernel multiplies, activates and scales all experts of the GPU, 0 where several do.
    fused_experts: FloatArray
    # Dense peak of the precision that layers are multiplied in.
    peak_flop_s: FloatArray
    memory_bytes: FloatArray
    bandwidth_bytes_s: FloatArray
    scale_up_bytes_s: FloatArray
    scale_out_bytes_s: FloatArray
    domain: IntArray
    # GPUs of the domain with links of their own to each other and no switch: a pair sees its share alone.
    meshed: BoolArray
    scale_up_latency_s: float
    scale_out_latency_s: float

    def take(self, rows: IntArray) -> "Rates":
        """The rates of each candidate, given the candidate's row of the table."""
        return replace(
            self,
            decoding=None if self.decoding is None else self.decoding.take(rows),
            **{name: getattr(self, name).take(rows) for name in _CURVES},
            **{name: getattr(self, name)[rows] for name in _COLUMNS},
        )

    def inside_bytes_s(self, ranks: Numeric) -> FloatArray:
        """Bandwidth [bytes/s] of a GPU to `ranks - 1` others of its domain: all its links, of a mesh those to them."""
        share = np.maximum(ranks - 1.0, 1.0) / np.maximum(self.domain - 1.0, 1.0)
        return self.scale_up_bytes_s * np.where(self.meshed, np.minimum(1.0, share), 1.0)

    def with_domain(self, domain: IntArray) -> "Rates":
        """The same rates with another number of GPUs behind the fast link."""
        return replace(self, domain=domain)


_CURVES = ("products", "grouped", "wide", "attention", "latent", "scan")
_COLUMNS = (
    "product_factor",
    "grouped_factor",
    "wide_factor",
    "attention_factor",
    "latent_factor",
    "vector_factor",
    "launch_factor",
    "fused_experts",
    "peak_flop_s",
    "memory_bytes",
    "bandwidth_bytes_s",
    "scale_up_bytes_s",
    "scale_out_bytes_s",
    "domain",
    "meshed",
)
# Formats of kernels that a precision trains in, best first.
_WIDE: Formats = (("bf16",),)
_FORMATS: dict[Precision, Formats] = {
    Precision.FP8: (("fp8", "fp8_block"), ("bf16",)),
    Precision.FP4: (("fp4",), ("fp8", "fp8_block"), ("bf16",)),
}


def peak_flop_s(table: HardwareTable, compute: Precision) -> FloatArray:
    """Dense peak [FLOP/s] per GPU of the precision; NaN where the record has none, so that nobody extrapolates."""
    return table.flop_s[compute]


@lru_cache(maxsize=1000)
def best_product_fraction(book: CurveBook, gpu: str, compute: Precision) -> float:
    """Share of the dense peak that the fastest measured products of a GPU reach; all of it where none were measured."""
    formats = {name for width in _FORMATS.get(compute, _WIDE)[:1] for name in width}
    found = [
        curve.flop_efficiency
        for curve in book.curves.values()
        if curve.operation is Operation.PRODUCT and curve.gpu == gpu and curve.precision in formats
    ]
    return min(1.0, max(found, default=1.0))


def kernel_curves(table: HardwareTable, operation: Operation, formats: Formats, calibration: Calibration) -> Curves:
    """The curve of one operation on every server of the table, whoever measured it."""
    found = curves_of(
        calibration.curves,
        operation,
        table=table,
        server=np.arange(len(table.servers), dtype=np.int64),
        engine=ANY_ENGINE,
        formats=formats,
        peak_bytes_s=table.bandwidth_bytes_s,
    )
    return Curves(**{field.name: getattr(found, field.name)[:, 0] for field in fields(Curves)})


def rates_of(
    table: HardwareTable,
    *,
    compute: Precision,
    calibration: Calibration,
    software_years: float,
    decoding: Decoding | None = None,
    plain_stack: bool = False,
    plain_kernels: bool = False,
    plain_attention: bool = False,
    fuses_experts: bool = False,
) -> Rates:
    """Rates of every server of the table at one compute precision under software of a (fractional) year.

    `plain_stack`: layers train as their framework brings them, `plain_kernels` with its own elementwise kernels,
    `plain_attention` with its own attention. `fuses_experts`: in one kernel, where the GPU has it.
    """
    generations = [generation(gpu) for gpu in table.gpus]

    def factor(name: str, precision: Precision) -> FloatArray:
        found = [calibration.coefficient(name, f"{g}/{precision}", f"*/{precision}") for g in generations]
        return _at_least_kernels(np.array(found, dtype=np.float64), table, calibration)

    def curves(operation: Operation, formats: Formats = _WIDE) -> Curves:
        return kernel_curves(table, operation, formats, calibration)

    def products(precision: Precision) -> Curves:
        found = curves(Operation.PRODUCT, _FORMATS.get(precision, _WIDE))
        return _sustained(found, table, precision, calibration)

    multiplied, grouped = products(compute), grouped_precision(compute)

    def scoped(name: str) -> FloatArray:
        return np.array([calibration.coefficient(name, g) for g in generations], dtype=np.float64)

    immature = np.ones(len(generations))
    if plain_attention:
        immature = _plain_attention(scoped, calibration, software_years=software_years)
    plain_vector = calibration.coefficient("training.plain_vector_factor") if plain_kernels else 1.0
    fused = fused_experts(generations, fuses=fuses_experts)
    known = np.where(np.isnan(table.flop_s[compute]), np.nan, 1.0)
    up = calibration.coefficient("training.scale_up_efficiency")
    nvlink = table.domain_gpus > 1
    return Rates(
        # Curves of a wider format stand in for kernels, never for a format that the GPU lacks.
        products=replace(multiplied, flop_s=multiplied.flop_s * known),
        grouped=multiplied if grouped is compute else products(grouped),
        wide=products(Precision.BF16),
        attention=curves(Operation.CONTEXT_ATTENTION),
        latent=curves(Operation.CONTEXT_MLA),
        scan=curves(Operation.CONTEXT_RECURRENCE),
        decoding=decoding,
        product_factor=factor("training.product_factor", compute),
        grouped_factor=factor("training.product_factor", grouped),
        wide_factor=factor("training.product_factor", Precision.BF16),
        attention_factor=calibration.coefficient("training.attention_factor") * immature,
        latent_factor=calibration.coefficient("training.latent_factor") * immature,
        vector_factor=np.full(len(generations), plain_vector),
        launch_factor=_launch_factor(table, calibration, plain_stack=plain_stack) * (1.0 - fused * _whole(table)),
        fused_experts=fused,
        peak_flop_s=peak_flop_s(table, compute),
        memory_bytes=table.memory_bytes,
        bandwidth_bytes_s=table.bandwidth_bytes_s,
        # Without NVLink the GPUs of a server meet on PCIe: the server is the domain, at PCIe speed.
        scale_up_bytes_s=table.scale_up_bytes_s
        * np.where(nvlink, up, calibration.assumption("training.pcie_efficiency_fraction")),
        scale_out_bytes_s=table.scale_out_bytes_s * calibration.coefficient("training.scale_out_efficiency"),
        domain=table.scale_up_gpus,
        meshed=nvlink & ~table.switched,
        scale_up_latency_s=calibration.assumption("training.scale_up_latency_us") * US,
        scale_out_latency_s=calibration.assumption("training.scale_out_latency_us") * US,
    )


def _launch_factor(table: HardwareTable, calibration: Calibration, *, plain_stack: bool) -> FloatArray:
    """Launches over those of a vendor's layers: more where nothing is fused, fewer where layers are captured."""
    if plain_stack:
        return np.full(len(table.gpus), calibration.coefficient("training.plain_launch_factor"))
    return np.where(is_captured(table), calibration.coefficient("training.captured_launch_factor"), 1.0)


def _plain_attention(
    scoped: Callable[[str], FloatArray], calibration: Calibration, *, software_years: float
) -> FloatArray:
    """Attention that frameworks bring over a vendor's: the same at last on old generations, behind on newer ones."""
    early = software_years < calibration.coefficient("training.early_attention_until_year")
    before = calibration.coefficient("training.early_attention_factor") if early else 1.0
    return scoped("training.plain_attention_factor") * before


def _sustained(curves: Curves, table: HardwareTable, precision: Precision, calibration: Calibration) -> Curves:
    """The curves with the rate that product_factor is fitted over: a share of the peak.

    Kernels measured alone run at clocks that a training does not sustain, each GPU at others; where trainings were
    measured the share of the peak predicts GPUs left out of the fit better. Where none was, what trainings of other
    generations sustain, or the kernels' own rate where that is lower: heat and power limit every card. Of a card whose
    kernels outrun its data sheet it is that share of what they reach.
    """
    share = np.array([calibration.coefficient("training.product_peak_fraction", generation(g)) for g in table.gpus])
    clock = np.array([calibration.curves.rate_fraction(gpu.id) for gpu in table.gpus])
    peak = clock * table.flop_s[precision]
    reached = np.fmax(table.flop_s[precision], curves.flop_s)
    others = np.fmin(curves.flop_s, calibration.assumption("training.unmeasured_peak_fraction") * reached)
    return replace(curves, flop_s=np.where(share > 0.0, share * peak, others))


def _at_least_kernels(factor: FloatArray, table: HardwareTable, calibration: Calibration) -> FloatArray:
    """Where no training was measured none is faster than kernels alone: a factor under 1 is that of other GPUs."""
    share = np.array([calibration.coefficient("training.product_peak_fraction", generation(g)) for g in table.gpus])
    return np.where(share > 0.0, factor, np.maximum(1.0, factor))
