"""Jobs of known FLOP and bytes: what share of the data sheet they reach, and the seconds that follow; a roofline."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.errors import CalibrationError
from service.sizing.calibration import Calibration
from service.sizing.compute import roofline_s
from service.sizing.hardware import GpuSpec
from service.sizing.interval import Basis
from service.sizing.numeric import Numeric
from service.sizing.operation import ANY_ENGINE, CurveBook, Operation, Work, curve_of
from service.sizing.precision import BYTES_ELEMENT, Precision
from service.sizing.science.application import Variant
from service.sizing.science.job import Arithmetic, Job
from service.sizing.science.rate import Rate, RateTable, rate_table
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.units import TB_S, TFLOP_S

# Rows, columns and depth of a large product: about where the measured kernels end and the share no longer grows.
_SIDE = 8192.0
_OUTPUT_BYTES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiencies:
    """Shares of the data sheet: of the dense peak, of the memory bandwidth, of the link between GPUs."""

    flop_fraction: Numeric
    bandwidth_fraction: float
    link_fraction: float


DATA_SHEET = Efficiencies(flop_fraction=1.0, bandwidth_fraction=1.0, link_fraction=1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Seconds of a whole run per candidate: arithmetic, memory traffic, exchange between GPUs."""

    arithmetic_s: FloatArray
    traffic_s: FloatArray
    exchange_s: FloatArray

    @property
    def work_s(self) -> FloatArray:
        """The longer of arithmetic and traffic: each hides the other."""
        return np.maximum(self.arithmetic_s, self.traffic_s)

    @property
    def whole_s(self) -> FloatArray:
        """Work, then the exchange."""
        return self.work_s + self.exchange_s


def peak_flop_s(table: HardwareTable, precision: Precision) -> FloatArray:
    """Dense peak [FLOP/s] per row; FP64 takes the tensor rate where one is published."""
    vector = table.flop_s[precision]
    if precision is not Precision.FP64:
        return vector
    tensor = np.array([g.fp64_tensor_dense_tflops or np.nan for g in table.gpus], dtype=np.float64) * TFLOP_S
    return np.fmax(vector, tensor)


@lru_cache(maxsize=1000)
def product_fraction(variant: Variant, gpu: GpuSpec, book: CurveBook) -> float:
    """Share of the dense peak that a large matrix product reaches on a GPU; never over 1.

    Two witnesses say it: runs of the application in this format, wherever they ran, and the products that were measured
    on the GPU or its kin; the middle of both on logarithms. Where no products are of the format, the runs alone.
    """
    runs = 1.0 / variant.time_factor
    kernels = _kernel_fraction(variant, gpu, book)
    return min(1.0, runs if kernels is None else math.sqrt(runs * kernels))


def _kernel_fraction(variant: Variant, gpu: GpuSpec, book: CurveBook) -> float | None:
    """Share of the peak of one product of 8,192 on every side by the curve of the kernels; None without one."""
    precision = Precision(variant.id)
    peak_tflops: float | None = getattr(gpu, f"{precision}_dense_tflops")
    bandwidth_tb_s = gpu.memory_bandwidth_tb_s
    if not variant.kernels or not peak_tflops or not bandwidth_tb_s:
        return None
    try:
        curve = book.curve(Operation.PRODUCT, gpu.id, ANY_ENGINE, (variant.kernels,))
    except CalibrationError:
        return None
    peak, square = peak_tflops * TFLOP_S, _SIDE * _SIDE
    work = Work(
        flop=2.0 * _SIDE * square,
        main_bytes=BYTES_ELEMENT[precision] * square,
        side_bytes=_OUTPUT_BYTES * square,
        depth=_SIDE,
        input_bytes=BYTES_ELEMENT[precision] * square,
    )
    curves = curve_of(curve, flop_s=peak * book.rate_fraction(gpu.id), bytes_s=bandwidth_tb_s * TB_S)
    return min(1.0, 2.0 * _SIDE * square / float(curves.time_s(work)[0, 0]) / peak)


def arithmetic_rates(job: Job, table: HardwareTable, calibration: Calibration) -> RateTable:
    """A roofline job has no curve: a unit is what takes a second at the peak, where the share of it is known by GPU.

    The band is that of the efficiencies, which `performance` draws: it depends on what binds.
    """
    variant = job.variant
    if variant is None:
        source = calibration.assumptions["science.bandwidth_efficiency_fraction"].source
        how, basis = "roofline on the data sheets with assumed efficiencies", Basis.EXTRAPOLATED
        shares = [1.0 for _ in table.gpus]
    else:
        how, source, basis = _said(variant), variant.source, Basis.CALIBRATED
        shares = [product_fraction(variant, gpu, calibration.curves) for gpu in table.gpus]
    rates = tuple(
        Rate(unit_s=1.0 / share, shift=0.0, down=0.0, up=0.0, basis=basis, nearest=(), how=how, source=source)
        for share in shares
    )
    return rate_table(rates)


def _said(variant: Variant) -> str:
    runs = "the median share of the dense peak that GPUs reach in runs of it"
    return f"{runs} and what measured products of this GPU or its kin reach, midway" if variant.kernels else runs


def efficiencies(job: Job, share: FloatArray, end: str, calibration: Calibration) -> Efficiencies:
    """At the `value`, or at the `low` or `high` end of what is assumed or seen; `share` of the peak by candidate."""

    def assumed(name: str) -> float:
        return float(getattr(calibration.assumptions[f"science.{name}_efficiency_fraction"], end))

    if job.variant is None:
        flop: Numeric = assumed("flop")
    else:
        arm = {"low": -job.variant.ln_arm, "value": 0.0, "high": job.variant.ln_arm}[end]
        flop = np.minimum(1.0, share * math.exp(arm))
    return Efficiencies(flop_fraction=flop, bandwidth_fraction=assumed("bandwidth"), link_fraction=assumed("link"))


def run_parts(
    step: Arithmetic, server: IntArray, gpus: FloatArray, *, table: HardwareTable, reached: Efficiencies
) -> Parts:
    """Seconds of arithmetic, memory traffic and halo exchange of the whole run.

    t = max(FLOP / (e_p P), bytes / (e_b BW)) / n + halo / link (method notes, section 6).
    """
    flop_s = peak_flop_s(table, step.precision)[server] * reached.flop_fraction
    bytes_s = table.bandwidth_bytes_s[server] * reached.bandwidth_fraction
    nothing = np.zeros(server.size)
    flop, moved = step.step_flop / gpus, step.step_bytes / gpus
    # An unknown peak matters only to a job that computes.
    needed_flop_s = flop_s if np.any(step.step_flop) else np.ones(server.size)
    arithmetic = roofline_s(flop=flop, moved_bytes=nothing, flop_s=needed_flop_s, bytes_s=bytes_s)
    traffic = roofline_s(flop=nothing, moved_bytes=moved, flop_s=needed_flop_s, bytes_s=bytes_s)
    inside = gpus <= table.scale_up_gpus[server]
    link = np.where(inside, table.scale_up_bytes_s[server], table.scale_out_bytes_s[server])
    exchange = np.where(gpus > 1.0, step.halo_bytes / (link * reached.link_fraction), 0.0)
    return Parts(arithmetic_s=arithmetic * step.steps, traffic_s=traffic * step.steps, exchange_s=exchange * step.steps)
