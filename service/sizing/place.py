"""Where a deployment stands: the server that carries a GPU, and memory parts for people."""

from service.errors import UnknownReferenceError
from service.sizing.hardware import Cooling, GpuSpec, Hardware, ScaleUp, ServerSpec
from service.sizing.result import MemoryPart
from service.sizing.units import GB
from service.sizing.workload import Deployment

# A GPU that no system of the catalog carries is taken as eight of them in one chassis with 400 Gbit/s each.
_LOOSE_GPUS = 8
_LOOSE_NIC_GBIT_S = 400.0


def placed_server(deployment: Deployment, hardware: Hardware) -> tuple[ServerSpec, GpuSpec, str]:
    """Server and GPU of a deployment; the third is the server's id when the engine chose it, else empty.

    Raises UnknownReferenceError for a GPU or server that the catalog lacks.
    """
    try:
        gpu = hardware.gpu(deployment.gpu)
        if deployment.server is not None:
            return hardware.server(deployment.server), gpu, ""
    except KeyError as missing:
        raise UnknownReferenceError(f"the catalog has no {missing.args[0]}") from None
    carriers = [s for s in hardware.servers if s.gpu == gpu.id]
    if not carriers:
        return _loose(gpu), gpu, "eight in one chassis"
    best = min(carriers, key=lambda s: (s.reference, -s.gpus, s.id))
    return best, gpu, best.id


def _loose(gpu: GpuSpec) -> ServerSpec:
    linked = bool(gpu.nvlink_gb_s)
    return ServerSpec(
        id=f"loose-{gpu.id}",
        family="loose",
        name=f"Eight {gpu.name} in one chassis",
        gpu=gpu.id,
        gpus=_LOOSE_GPUS,
        nvlink_domain_gpus=_LOOSE_GPUS if linked else 1,
        scale_up=ScaleUp.NVSWITCH if linked else ScaleUp.PCIE,
        nic_gbit_s_gpu=_LOOSE_NIC_GBIT_S,
        cooling=Cooling.AIR,
        rack_units=None,
        plan_power_kw=None,
        max_power_w=None,
        weight_kg=None,
        cpu_cores=None,
        max_memory_tb=None,
        liquid_heat_fraction=None,
        servers_rack=None,
        sku=None,
        orderable=False,
        reference=True,
    )


def memory_parts(**parts_bytes: float) -> tuple[MemoryPart, ...]:
    """Named parts in GB, in the order given."""
    return tuple(MemoryPart(part=name, gb=size / GB) for name, size in parts_bytes.items())
