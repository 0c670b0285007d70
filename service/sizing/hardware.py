"""Hardware as the catalog states it: human units, unknown stays None."""

from dataclasses import dataclass
from enum import StrEnum


class Cooling(StrEnum):
    """How a server is cooled."""

    AIR = "air"
    LIQUID = "liquid"


class ScaleUp(StrEnum):
    """What links the GPUs of one scale-up domain."""

    NVSWITCH = "nvswitch"
    NVLINK_MESH = "nvlink_mesh"
    NVLINK_BRIDGE = "nvlink_bridge"
    PCIE = "pcie"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec:
    """One GPU package. Every TFLOPS figure is dense. `nvlink_gb_s` and `pcie_gb_s` are one direction.

    `pcie_gb_s` is what reaches the host, whatever the GPU's own side could do.
    """

    id: str
    name: str
    reference: bool
    memory_gb: float
    memory_usable_gib: float | None
    memory_bandwidth_tb_s: float | None
    fp64_dense_tflops: float | None
    fp64_tensor_dense_tflops: float | None
    fp32_dense_tflops: float | None
    tf32_dense_tflops: float | None
    bf16_dense_tflops: float | None
    fp16_dense_tflops: float | None
    fp8_dense_tflops: float | None
    fp4_dense_tflops: float | None
    int8_dense_tflops: float | None
    nvlink_gb_s: float | None
    pcie_gb_s: float | None
    tdp_w: float | None
    compute_capability: str | None

    def __hash__(self) -> int:
        """Equal records have one id: not all fields are hashed whenever somebody remembers what follows from it."""
        return hash(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """One orderable configuration: a chassis with one GPU option. An NVL72 rack is one server of 72 GPUs."""

    id: str
    family: str
    name: str
    gpu: str
    gpus: int
    nvlink_domain_gpus: int
    scale_up: ScaleUp
    nic_gbit_s_gpu: float
    cooling: Cooling
    rack_units: float | None
    plan_power_kw: float | None
    max_power_w: float | None
    weight_kg: float | None
    cpu_cores: int | None
    max_memory_tb: float | None
    liquid_heat_fraction: float | None
    # Most servers that one rack can take by space and power; an NVL72 is a rack by itself.
    servers_rack: int | None
    sku: str | None
    orderable: bool
    reference: bool
    # What each GPU shows in this system, where that differs from the GPU's own record (GB200 NVL4).
    gpu_memory_usable_gib: float | None = None
    # Compute trays of a system that fills a rack; every other server is one node.
    nodes: int = 1
    # Network cards of the compute network in one node; None: what the reference pattern says, else one per GPU.
    nics_node: int | None = None

    def __hash__(self) -> int:
        """Equal records have one id: not all fields are hashed whenever somebody remembers what follows from it."""
        return hash(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuServerSpec:
    """A server without GPUs, for work beside them."""

    id: str
    family: str
    name: str
    cooling: Cooling
    rack_units: float
    cpu_cores: int
    plan_power_kw: float | None
    max_power_w: float | None
    weight_kg: float | None
    max_memory_tb: float | None
    sku: str | None
    orderable: bool

    def placed(self) -> ServerSpec:
        """The same as one that racks and networks count: two ports of a front end, no GPU."""
        return ServerSpec(
            id=self.id,
            family=self.family,
            name=self.name,
            gpu="",
            gpus=0,
            nvlink_domain_gpus=1,
            scale_up=ScaleUp.NONE,
            nic_gbit_s_gpu=0.0,
            cooling=self.cooling,
            rack_units=self.rack_units,
            plan_power_kw=self.plan_power_kw,
            max_power_w=self.max_power_w,
            weight_kg=self.weight_kg,
            cpu_cores=self.cpu_cores,
            max_memory_tb=self.max_memory_tb,
            liquid_heat_fraction=0.0,
            servers_rack=None,
            sku=self.sku,
            orderable=self.orderable,
            reference=False,
        )


def air_heat_kw(server: ServerSpec) -> float | None:
    """Heat [kW] that one server gives to the air of the room; None where its power or its split is unknown."""
    if server.plan_power_kw is None:
        return None
    if server.cooling is Cooling.AIR:
        return server.plan_power_kw
    if server.liquid_heat_fraction is None:
        return None
    return server.plan_power_kw * (1.0 - server.liquid_heat_fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSpec:
    """A network switch: ports at one speed, power to plan with."""

    id: str
    name: str
    ports: int | None
    port_gbit_s: float | None
    plan_power_w: float | None
    fabric: str
    rack_units: float | None
    # Among switches with as many ports the lowest is taken.
    preferred_rank: int = 9
    # The product line: PowerSwitch, Spectrum-X, Quantum.
    family: str = ""

    def __hash__(self) -> int:
        """Equal records have one id: not all fields are hashed whenever somebody remembers what follows from it."""
        return hash(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RackSpec:
    """A rack: usable units, power and cooling ceilings."""

    id: str
    name: str
    rack_units: float | None
    max_kw: float | None
    cooling: Cooling


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityPreset:
    """Site defaults that a caller may override: PUE per cooling, rack limits, power feeds.

    `rack_units_usable` are for servers, `switch_rack_units` beside them for switches. A rack has `feed_sides` sets of
    feeds of `feed_kw` each, and each set carries the whole rack.
    """

    pue_air: float
    pue_liquid: float
    air_rack_max_kw: float
    liquid_rack_max_kw: float
    rack_units_usable: float
    switch_rack_units: float
    feed_kw: float
    feed_sides: int
    cdu_kw: float
    rack_cdu_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpec:
    """A storage building block; throughput stays None where nobody published it.

    `front_end_gb_s` is what its network ports let through at most, `nodes_least` the smallest cluster.
    """

    id: str
    name: str
    read_gb_s: float | None
    write_gb_s: float | None
    capacity_tb: float | None
    rack_units: float | None
    plan_power_w: float | None
    front_end_gb_s: float | None = None
    nodes_least: int | None = None

    def __hash__(self) -> int:
        """Equal records have one id: not all fields are hashed whenever somebody remembers what follows from it."""
        return hash(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Everything the engine may choose from or surround the GPUs with, ordered by id."""

    gpus: tuple[GpuSpec, ...]
    servers: tuple[ServerSpec, ...]
    switches: tuple[SwitchSpec, ...]
    racks: tuple[RackSpec, ...]
    storage: tuple[StorageSpec, ...]
    facility: FacilityPreset
    # The one that work on CPUs is planned with.
    cpu_servers: tuple[CpuServerSpec, ...] = ()

    def gpu(self, gpu_id: str) -> GpuSpec:
        """The GPU of that id; KeyError when the catalog lacks it."""
        for spec in self.gpus:
            if spec.id == gpu_id:
                return spec
        raise KeyError(gpu_id)

    def server(self, server_id: str) -> ServerSpec:
        """The server of that id; KeyError when the catalog lacks it."""
        for spec in self.servers:
            if spec.id == server_id:
                return spec
        raise KeyError(server_id)
