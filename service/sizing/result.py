"""SizingResult, its options and rejections: human units, rounded to 6 significant digits at the seam."""

from dataclasses import dataclass
from enum import StrEnum

from service.sizing.interval import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelLayout:
    """Degrees of one model instance. `dp` belongs to training; serving copies are `replicas`."""

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    cp: int = 1
    attention_dp: int = 1
    vpp: int = 1
    micro_batch: int | None = None
    recompute: str | None = None
    # Share of the layers that full recompute makes again; the others keep their activations.
    recompute_fraction: float | None = None
    sharding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """The instances of one side of disaggregated serving, all of one layout."""

    instances: int
    tp: int
    pp: int
    ep: int
    attention_dp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPart:
    """One part of the memory of the fullest GPU."""

    part: str
    gb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A named number whose name ends in its unit, for open-ended lists (utilisation, requirements)."""

    name: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingStep:
    """One line of the working: what was computed, by which formula, from what, and where that is from."""

    name: str
    value: float | str | None
    unit: str
    formula: str
    inputs: tuple[Quantity, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleUpPlan:
    """What links GPUs inside a server or rack; it comes with the server. One direction."""

    link: str
    domain_gpus: int
    domains: int
    gb_s_gpu: float | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPart:
    """One network of an option, or another way to make it. `endpoints` are the ports of servers that it reaches.

    Every cable has two ends: `endpoints` at servers, `switch_ports` links at switches, the rest (`site_ports`) at
    switches that the site has. `port_gbit_s` is the speed of a port and its cable, `module_gbit_s` that of the optical
    modules: one module carries the ports of a card to all planes.
    """

    network: str
    switch: str | None
    family: str | None
    leaf_switches: int | None
    spine_switches: int | None
    endpoints: int
    port_gbit_s: float
    module_gbit_s: float
    cables: int | None
    switch_ports: int | None
    site_ports: int
    optics: int | None
    switch_power_kw: float | None
    rule: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """The networks of an option; a count is None where the facts do not allow one.

    What stands beside `networks` is the compute network, between the GPUs of different servers.
    """

    fabric: str
    pattern: str | None
    nic_gbit_s_gpu: float
    leaf_switches: int | None
    spine_switches: int | None
    switch: str | None
    optics: int | None
    switch_power_kw: float | None
    note: str
    cables: int | None = None
    scale_up: ScaleUpPlan | None = None
    # Compute, front end and management; `alternatives` are the compute network by other product lines.
    networks: tuple[NetworkPart, ...] = ()
    alternatives: tuple[NetworkPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageStage:
    """What one use of storage asks for; None where nobody stated or published it."""

    stage: str
    place: str
    capacity_tb: float | None
    read_gb_s: float | None
    write_gb_s: float | None
    rule: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageBlocks:
    """How many of a building block the shared stages take: at least, where only a bound of the block is known."""

    block: str
    blocks: int | None
    at_least: bool
    binds: str
    unpublished: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePlan:
    """What the workload asks of shared storage, in all and by stage."""

    capacity_tb: float
    read_gb_s: float | None
    write_gb_s: float | None
    note: str
    stages: tuple[StorageStage, ...] = ()
    blocks: tuple[StorageBlocks, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityPlan:
    """Power, cooling and space; None where a server's figure is unknown. `racks` are those of servers and of switches.

    Heat is that of the IT power: what leaves through liquid, and the rest through air.
    """

    it_power_kw: float | None
    facility_power_kw: float | None
    pue: float
    racks: int | None
    servers_rack: int | None
    rack_power_kw: float | None
    rack_units: float | None
    cooling: str
    weight_kg: float | None
    liquid_heat_kw: float | None = None
    air_heat_kw: float | None = None
    switch_racks: int | None = None
    rack_weight_kg: float | None = None
    rack_binds: str | None = None
    rack_feeds: int | None = None
    feeds: int | None = None
    coolant_units: int | None = None
    energy_kwh_year: float | None = None
    carbon_kg_year: float | None = None
    grid_kg_co2_kwh: float | None = None
    # Servers without GPUs beside those that are sized: in every sum above, in racks of their own.
    cpu_servers: int = 0
    cpu_racks: int | None = None
    cpu_power_kw: float | None = None
    cpu_feeds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingOption:
    """One feasible answer, ranked. `gpus` = servers x GPUs per server; `spare_servers` are among `servers`."""

    rank: int
    server: str
    server_name: str
    sku: str | None
    orderable: bool
    gpu: str
    servers: int
    spare_servers: int
    gpus: int
    gpus_instance: int
    replicas: int
    layout: ParallelLayout
    mode: str
    # Where prefill and decode have GPUs of their own.
    prefill: PoolPlan | None = None
    decode: PoolPlan | None = None
    weight_precision: str | None
    kv_precision: str | None
    precision: str | None
    batch: float | None
    metrics: tuple[Metric, ...]
    confidence_fraction: float
    memory_gb_gpu: tuple[MemoryPart, ...]
    memory_used_gb_gpu: float
    memory_usable_gb_gpu: float
    bottleneck: str
    utilisation: tuple[Quantity, ...]
    network: NetworkPlan
    storage: StoragePlan
    facility: FacilityPlan
    requirements: tuple[Quantity, ...]
    notes: tuple[str, ...]
    working: tuple[WorkingStep, ...]


class Limit(StrEnum):
    """What can bind."""

    MEMORY = "memory"
    PRECISION = "precision"
    TTFT = "ttft_ms"
    TPOT = "tpot_ms"
    THROUGHPUT = "throughput"
    DEADLINE = "deadline_days"
    BATCH = "global_batch_sequences"
    CONTEXT = "context"
    CONFIDENCE = "min_confidence_fraction"
    COOLING = "cooling"
    RACK_POWER = "max_rack_kw"
    RACK_AIR = "max_rack_air_kw"
    RACK_WEIGHT = "max_rack_kg"
    FACILITY_POWER = "max_facility_kw"
    RACKS = "max_racks"
    BUDGET = "max_budget_usd"
    TARGET_BUDGET = "budget_usd"
    NOT_ALLOWED = "not_allowed"
    GPU_NOT_CARRIED = "gpu_not_carried"
    REFERENCE = "reference"
    UNKNOWN_FACT = "unknown_fact"
    FLEET = "fleet_size"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a server does not appear among the options, and how many of its candidates fell to that."""

    server: str
    limit: Limit
    candidates: int
    detail: str
    required: float | None = None
    available: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Nothing fits: which limit binds, how far off the nearest candidate is, and the cheapest change.

    `best` is what the nearest candidate reaches: of a bound that the caller sets the least at which it would pass.
    """

    limit: Limit
    server: str
    required: float
    best: float
    unit: str
    distance_fraction: float
    relaxation: str
    more_gpus_help: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """A default or an assumption that the answer rests on."""

    field: str
    value: str
    why: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """How the recommended option's servers change when one assumption moves between its bounds."""

    assumption: str
    low: float
    high: float
    metric: str
    at_low: float
    at_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingResult:
    """The answer to a question. `pareto` holds ranks of options on the (weight, speed, power) front."""

    kind: str
    feasible: bool
    options: tuple[SizingOption, ...]
    pareto: tuple[int, ...]
    rejected: tuple[Rejection, ...]
    shortfall: Shortfall | None
    sensitivity: tuple[Sensitivity, ...]
    assumed: tuple[Assumed, ...]
    candidates: int
    engine_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One fixed deployment, evaluated. `fits` is false when the memory does not suffice; speed is given anyway."""

    kind: str
    gpu: str
    gpus: int
    layout: ParallelLayout
    replicas: int
    mode: str
    prefill: PoolPlan | None = None
    decode: PoolPlan | None = None
    weight_precision: str | None
    kv_precision: str | None
    precision: str | None
    batch: float | None
    fits: bool
    metrics: tuple[Metric, ...]
    memory_gb_gpu: tuple[MemoryPart, ...]
    memory_used_gb_gpu: float
    memory_usable_gb_gpu: float
    bottleneck: str
    # None where the workload has no SLO.
    meets_slo: bool | None = None
    utilisation: tuple[Quantity, ...]
    # What stands around the GPUs, as an option tells it. None where no system of the catalog carries them.
    servers: int | None = None
    requirements: tuple[Quantity, ...] = ()
    network: NetworkPlan | None = None
    storage: StoragePlan | None = None
    facility: FacilityPlan | None = None
    assumed: tuple[Assumed, ...]
    working: tuple[WorkingStep, ...]
    engine_version: str
