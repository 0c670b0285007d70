"""Rates: what one GPU of each candidate's server can do and reach, as arrays aligned with the layouts (SI units)."""

from dataclasses import dataclass, replace

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import GpuSpec
from service.sizing.precision import Precision
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.units import US

# Shares of the dense peak are fitted per generation of tensor cores, which the compute capability names.
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


def generation(gpu: GpuSpec) -> str:
    """The tensor-core generation of a GPU, the scope of fitted efficiencies."""
    return _GENERATIONS.get(gpu.compute_capability or "", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rates:
    """Per candidate. Rates already carry their fitted ceilings; `domain` is the GPUs that the fast link joins."""

    gemm_flop_s: FloatArray
    expert_flop_s: FloatArray
    wide_flop_s: FloatArray
    attention_flop_s: FloatArray
    bandwidth_bytes_s: FloatArray
    scale_up_bytes_s: FloatArray
    scale_out_bytes_s: FloatArray
    domain: IntArray
    scale_up_latency_s: float
    scale_out_latency_s: float

    def take(self, rows: IntArray) -> "Rates":
        """The rates of each candidate, given the candidate's row of the table."""
        return Rates(
            gemm_flop_s=self.gemm_flop_s[rows],
            expert_flop_s=self.expert_flop_s[rows],
            wide_flop_s=self.wide_flop_s[rows],
            attention_flop_s=self.attention_flop_s[rows],
            bandwidth_bytes_s=self.bandwidth_bytes_s[rows],
            scale_up_bytes_s=self.scale_up_bytes_s[rows],
            scale_out_bytes_s=self.scale_out_bytes_s[rows],
            domain=self.domain[rows],
            scale_up_latency_s=self.scale_up_latency_s,
            scale_out_latency_s=self.scale_out_latency_s,
        )

    def with_domain(self, domain: IntArray) -> "Rates":
        """The same rates with another number of GPUs behind the fast link."""
        return replace(self, domain=domain)


def peak_flop_s(table: HardwareTable, compute: Precision) -> FloatArray:
    """Dense peak [FLOP/s] per GPU of the precision; NaN where the record has none, so that nobody extrapolates."""
    return table.flop_s[compute]


def rates_of(table: HardwareTable, *, compute: Precision, calibration: Calibration) -> Rates:
    """Sustained rates of every server of the table at one compute precision."""
    generations = [generation(gpu) for gpu in table.gpus]

    def share(name: str, precision: Precision) -> FloatArray:
        return np.array(
            [calibration.coefficient(name, f"{g}/{precision}", f"*/{precision}") for g in generations],
            dtype=np.float64,
        )

    wide = table.flop_s[Precision.BF16]
    bf16 = share("training.gemm_efficiency", Precision.BF16)
    up = calibration.coefficient("training.scale_up_efficiency")
    out = calibration.coefficient("training.scale_out_efficiency")
    nvlink = table.domain_gpus > 1
    return Rates(
        gemm_flop_s=table.flop_s[compute] * share("training.gemm_efficiency", compute),
        expert_flop_s=table.flop_s[compute] * share("training.expert_efficiency", compute),
        wide_flop_s=wide * bf16,
        attention_flop_s=wide * share("training.attention_efficiency", Precision.BF16),
        bandwidth_bytes_s=table.bandwidth_bytes_s * calibration.coefficient("training.memory_efficiency"),
        # Without NVLink the GPUs of a server meet on PCIe: the server is the domain, at PCIe speed.
        scale_up_bytes_s=table.scale_up_bytes_s
        * np.where(nvlink, up, calibration.assumption("training.pcie_efficiency_fraction")),
        scale_out_bytes_s=table.scale_out_bytes_s * out,
        domain=table.scale_up_gpus,
        scale_up_latency_s=calibration.assumption("training.scale_up_latency_us") * US,
        scale_out_latency_s=calibration.assumption("training.scale_out_latency_us") * US,
    )
