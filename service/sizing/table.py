"""HardwareTable: catalog records become arrays in SI units; the one seam where hardware is converted."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.sizing.hardware import GpuSpec, Hardware, ScaleUp, ServerSpec
from service.sizing.precision import Precision
from service.sizing.units import GB, GB_S, GBIT_S, GIB, KW, TB_S, TFLOP_S

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Tensor-core fields of a GPU record by precision; INT4 weights are multiplied in 16 bit.
_PEAK_FIELD: dict[Precision, str] = {
    Precision.BF16: "bf16_dense_tflops",
    Precision.FP16: "fp16_dense_tflops",
    Precision.FP8: "fp8_dense_tflops",
    Precision.FP4: "fp4_dense_tflops",
    Precision.INT8: "int8_dense_tflops",
    Precision.INT4: "bf16_dense_tflops",
    Precision.TF32: "tf32_dense_tflops",
    Precision.FP32: "fp32_dense_tflops",
    Precision.FP64: "fp64_dense_tflops",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HardwareTable:
    """Equal-length arrays, one row per server configuration, in SI units; an unknown figure is NaN.

    `memory_bytes`, `bandwidth_bytes_s`, `flop_s` are per GPU; `scale_up_bytes_s` and `scale_out_bytes_s` are what one
    GPU can send in one direction inside its scale-up domain and to other servers; `scale_up_gpus` is that domain: the
    NVLink domain, or the whole server where GPUs meet on PCIe.
    """

    servers: tuple[ServerSpec, ...]
    gpus: tuple[GpuSpec, ...]
    gpus_server: IntArray
    domain_gpus: IntArray
    scale_up_gpus: IntArray
    memory_bytes: FloatArray
    bandwidth_bytes_s: FloatArray
    flop_s: Mapping[Precision, FloatArray]
    scale_up_bytes_s: FloatArray
    scale_out_bytes_s: FloatArray
    switched: BoolArray
    server_power_w: FloatArray
    reference: BoolArray
    # Each row's place among the ids: what ties break by, so that the order of the catalog never changes an answer.
    place: IntArray
    # The first row with the same GPUs on the same links: what serves alike is evaluated once.
    twin: IntArray
    desktop: BoolArray


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _usable_bytes(server: ServerSpec, gpu: GpuSpec) -> float:
    """Visible memory [bytes] in this chassis; the label in decimal GB where nobody has read the visible figure."""
    visible_gib = server.gpu_memory_usable_gib or gpu.memory_usable_gib
    return visible_gib * GIB if visible_gib is not None else gpu.memory_gb * GB


def _scale_up_bytes_s(server: ServerSpec, gpu: GpuSpec) -> float:
    """One direction [bytes/s] between two GPUs of one server: NVLink where there is a domain, else PCIe."""
    if server.nvlink_domain_gpus > 1 and gpu.nvlink_gb_s:
        return gpu.nvlink_gb_s * GB_S
    if gpu.pcie_gb_s is not None:
        return gpu.pcie_gb_s * GB_S
    return server.nic_gbit_s_gpu * GBIT_S


def _twins(servers: tuple[ServerSpec, ...], gpus: tuple[GpuSpec, ...]) -> IntArray:
    """Of each row the first that has the same GPU, as many of them, and the same memory and links."""
    first: dict[tuple[object, ...], int] = {}
    pairs = zip(servers, gpus, strict=True)
    return np.array([first.setdefault(_kind(s, g), row) for row, (s, g) in enumerate(pairs)], dtype=np.int64)


def _kind(server: ServerSpec, gpu: GpuSpec) -> tuple[object, ...]:
    links = (server.nvlink_domain_gpus, server.scale_up, _scale_up_bytes_s(server, gpu), server.nic_gbit_s_gpu)
    return (gpu, server.gpus, _usable_bytes(server, gpu), *links, server.rack_units is None)


@lru_cache(maxsize=256)
def build_table(servers: tuple[ServerSpec, ...], gpus: tuple[GpuSpec, ...]) -> HardwareTable:
    """Rows in the order of `servers`; `gpus` holds the GPU of each row."""
    pairs = list(zip(servers, gpus, strict=True))
    return HardwareTable(
        servers=servers,
        gpus=gpus,
        gpus_server=np.array([s.gpus for s in servers], dtype=np.int64),
        domain_gpus=np.array([max(1, s.nvlink_domain_gpus) for s in servers], dtype=np.int64),
        scale_up_gpus=np.array(
            [s.nvlink_domain_gpus if s.nvlink_domain_gpus > 1 else s.gpus for s in servers], dtype=np.int64
        ),
        memory_bytes=np.array([_usable_bytes(s, g) for s, g in pairs], dtype=np.float64),
        bandwidth_bytes_s=np.array([_number(g.memory_bandwidth_tb_s) * TB_S for g in gpus], dtype=np.float64),
        flop_s={
            precision: np.array([_number(getattr(g, name)) * TFLOP_S for g in gpus], dtype=np.float64)
            for precision, name in _PEAK_FIELD.items()
        },
        scale_up_bytes_s=np.array([_scale_up_bytes_s(s, g) for s, g in pairs], dtype=np.float64),
        scale_out_bytes_s=np.array([s.nic_gbit_s_gpu * GBIT_S for s in servers], dtype=np.float64),
        switched=np.array([s.scale_up is ScaleUp.NVSWITCH for s in servers], dtype=np.bool_),
        server_power_w=np.array([_number(s.plan_power_kw) * KW for s in servers], dtype=np.float64),
        reference=np.array([s.reference for s in servers], dtype=np.bool_),
        place=np.argsort(np.argsort(np.array([s.id for s in servers]))),
        twin=_twins(servers, gpus),
        # A desk-side system has no rack units.
        desktop=np.array([s.rack_units is None for s in servers], dtype=np.bool_),
    )


@lru_cache(maxsize=8)
def table_of(hardware: Hardware) -> HardwareTable:
    """The table over every server of the catalog, reference systems included, in the catalog's order."""
    by_id = {gpu.id: gpu for gpu in hardware.gpus}
    return build_table(hardware.servers, tuple(by_id[s.gpu] for s in hardware.servers))
