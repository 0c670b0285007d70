"""A scientific application of the catalog: its template, unit of work, measured curves, transfers and host needs."""

from dataclasses import dataclass, field
from enum import StrEnum

from service.sizing.science.sequence_model import SequenceModel


class Template(StrEnum):
    """Which formulas an application is sized by."""

    FOLDING = "folding"
    MD = "md"
    GENOMICS = "genomics"
    WEATHER = "weather"
    DOCKING = "docking"
    DESIGN = "design"
    ROOFLINE = "roofline"
    LATTICE = "lattice"
    SEQUENCE_TRAINING = "sequence_training"
    RECIPE_TRAINING = "recipe_training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Seconds per unit of work on one GPU by size: a polynomial in it, or points interpolated on logarithms.

    `coefficients_s[k]` multiplies size**k. `q10, q50, q90` are quantiles of ln(measured / predicted) over `runs` lines,
    each predicted by a fit that left it out. `measured` is false when the curve was borrowed from another application.
    `timesteps_fs` are the integration steps of its runs: other steps are other settings. Empty: it has none.
    `settings` are what is published of the settings of its runs, word for word.
    """

    gpu: str
    variant: str
    coefficients_s: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    size_low: float
    size_high: float
    q10: float
    q50: float
    q90: float
    runs: int
    measured: bool
    evidence: tuple[str, ...]
    basis: str
    source: str
    date: str
    note: str = ""
    timesteps_fs: tuple[float, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Speed of `to_gpu` over `from_gpu`; `low` and `high` are the bounds of an 80 % interval."""

    from_gpu: str
    to_gpu: str
    low: float
    central: float
    high: float
    basis: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLaw:
    """Speed-up between two GPUs that nobody measured: product of spec ratios to these exponents, with an 80 % band."""

    fp32_exponent: float
    bandwidth_exponent: float
    bf16_exponent: float
    ln_low: float
    ln_high: float
    basis: str
    source: str
    # The curves that it is for; None is all without a law of their own.
    variant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLaw:
    """Bytes on the GPU: `base_gb` + `size_bytes` * size**power."""

    base_gb: float
    size_bytes: float
    power: float
    basis: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNeeds:
    """What each working GPU asks of its server, and what each item leaves on disk; None where nobody published it."""

    cores_gpu: float
    ram_gb_gpu: float
    nvme_tb_server: float | None
    database_tb: float | None
    input_gb_item: float | None
    output_gb_item: float | None
    basis: str
    source: str
    note: str = ""
    # What each working server leaves on disk in a day, where that was published instead.
    output_gb_server_day: float | None = None
    # Of a forecast: whether every lead-time step is kept, or one result of each member.
    output_each_step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MsaRoute:
    """One way to make alignments: CPU core-hours per chain (None: no published rate) and what the search host needs."""

    id: str
    core_h_chain: float | None
    core_h_chain_low: float | None
    core_h_chain_high: float | None
    ram_gb: float | None
    nvme_tb: float | None
    gpu_memory_gb: float | None
    basis: str
    source: str
    note: str = ""
    # What its disks must read, and the most GPU seconds of one chain that were published.
    nvme_gb_s: float | None = None
    # Databases that it searches; None is those of the application.
    database_tb: float | None = None
    gpu_s_chain_high: float | None = None
    # Cores of one search of many at once, each with `ram_gb`; None is one search on a server, with the cores it has.
    search_cores: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingFacts:
    """Structure prediction: length buckets, published settings of the curve, host time, alignment routes."""

    buckets_tokens: tuple[int, ...]
    bucket_step_tokens: int
    host_s_seed: float
    models_target: int
    published_recycles: int
    published_samples: int
    msa_routes: tuple[MsaRoute, ...]
    basis: str
    source: str
    # Of one seed where they are kept; None where nobody published it.
    embedding_pair_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A method, pipeline or number format: its time relative to the curve of `curve_variant`."""

    id: str
    curve_variant: str
    time_factor: float
    ln_arm: float
    basis: str
    source: str
    note: str = ""
    # Lattice codes: bytes of one stored number, and memory relative to the law of the application.
    element_bytes: float = 4.0
    memory_factor: float = 1.0
    # GPU memory that this one takes, where it is not the application's.
    memory_gb: float | None = None
    # Formats of measured matrix products that say what share of its peak a GPU reaches in this one.
    kernels: tuple[str, ...] = ()
    # What a unit of work moves through memory at least, where every implementation must.
    least_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPoint:
    """Parallel efficiency of one job on `gpus` GPUs of one scale-up domain."""

    gpus: int
    efficiency_fraction: float
    basis: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HaloLaw:
    """Halo exchange of a lattice code: 1/E - 1 = coefficient * n * MLUPS(1) * element bytes * reference / link."""

    coefficient: float
    reference_link_gb_s: float
    basis: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardingLaw:
    """One item over n GPUs: 1/E - 1 = coefficient (n - 1) (reference size / size)**power; memory is shared by all."""

    coefficient: float
    power: float
    reference_size_tokens: float
    most_gpus: int
    ln_arm: float
    basis: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardedRoute:
    """A published way to compute an item that no GPU holds alone."""

    method: str
    tokens: float
    gpus: int
    gpu: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpillLaw:
    """What does not fit moves through host memory: `s_gb` seconds a GB of it at the reference link.

    `most_factor` of the GPU's memory at most; `ln_arm` is added to the interval.
    """

    s_gb: float
    reference_link_gb_s: float
    most_factor: float
    ln_arm: float
    basis: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialLaw:
    """A run of a fixed recipe on n GPUs: E = 1 / (1 + serial_fraction x n); what does not split stays (Amdahl 1967)."""

    serial_fraction: float
    most_gpus: int
    basis: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed:
    """The application whose curves another takes that nobody timed: times `factor`, within `ln_arm`."""

    application: str
    ln_arm: float
    factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What config/science/*.yaml states about one application."""

    id: str
    name: str
    template: Template
    unit_of_work: str
    bounds: str
    date: str
    aliases: tuple[str, ...] = ()
    licence: str | None = None
    curves: tuple[Curve, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    law: TransferLaw | None = None
    variant_laws: tuple[TransferLaw, ...] = ()
    memory: MemoryLaw | None = None
    host: HostNeeds | None = None
    folding: FoldingFacts | None = None
    variants: tuple[Variant, ...] = ()
    default_variant: str = "default"
    scaling: tuple[ScalingPoint, ...] = ()
    # Size (atoms) of the systems that showed those efficiencies.
    scaling_size_atoms: float | None = None
    halo: HaloLaw | None = None
    sharding: ShardingLaw | None = None
    sharded: tuple[ShardedRoute, ...] = ()
    spill: SpillLaw | None = None
    serial: SerialLaw | None = None
    borrows: Borrowed | None = None
    sequence_model: SequenceModel | None = None
    notes: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = field(default=())

    def law_of(self, variant_id: str) -> TransferLaw | None:
        """The law between GPUs of a variant's curves: its own, else that of the application."""
        for law in self.variant_laws:
            if law.variant == variant_id:
                return law
        return self.law

    def variant(self, variant_id: str | None) -> Variant | None:
        """The variant of that id, the default one for None; None when the application has no such variant."""
        wanted = variant_id or self.default_variant
        for variant in self.variants:
            if variant.id == wanted:
                return variant
        return None
