"""Scientific workloads, one dataclass per template; `application` names an entry of the applications catalog.

The demand (targets_day, ns_day, deadline_days ...) is None in an estimate, which evaluates fixed hardware.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from service.sizing.kind import Kind
from service.sizing.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class ScienceWorkload:
    """What every scientific job has; each template adds its own fields."""

    application: str
    # What a published run says of its settings, word for word; a caller's own job has its own, and they are unknown.
    settings: str | None = None
    kind: Kind = field(default=Kind.SCIENCE, init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeDistribution:
    """Sizes of the items (tokens): the mean and, where given, the 95th percentile of a log-normal."""

    mean: float
    p95: float | None = None


class MsaSearch(StrEnum):
    """How multiple sequence alignments are made."""

    PRECOMPUTED = "precomputed"
    JACKHMMER = "jackhmmer"
    COLABFOLD_CPU = "colabfold-cpu"
    MMSEQS2_GPU = "mmseqs2-gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Msa:
    """The alignment stage: route, and how many chains per target have not been searched before."""

    route: MsaSearch = MsaSearch.PRECOMPUTED
    unique_chains_per_target: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingWorkload(ScienceWorkload):
    """Structure prediction: `targets_day` targets of `tokens` residues, ligand atoms and nucleotides."""

    tokens: SizeDistribution
    targets_day: float | None = None
    seeds: int = 1
    # None: those that the application is published with.
    samples: int | None = None
    recycles: int | None = None
    msa: Msa = field(default_factory=Msa)
    # Kept beside the structures; they go with the square of the length.
    keep_embeddings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MdWorkload(ScienceWorkload):
    """Molecular dynamics: `ns_day` is the sum over `replicas` independent trajectories of `atoms` atoms."""

    atoms: float
    ns_day: float | None = None
    timestep_fs: float = 2.0
    replicas: int = 1
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenomicsWorkload(ScienceWorkload):
    """Whole genomes per day at a coverage through one pipeline."""

    genomes_day: float | None = None
    coverage: float = 30.0
    pipeline: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherWorkload(ScienceWorkload):
    """AI weather: forecasts per day, each of `members` members of `steps` steps (diffusion or lead-time steps)."""

    steps: float
    forecasts_day: float | None = None
    members: int = 1
    # Of the application; None is the newest that was measured.
    release: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DockingWorkload(ScienceWorkload):
    """Docking: ligands per day; `ligands_s_gpu` is the customer's own rate on `measured_gpu`."""

    ligands_day: float | None = None
    ligands_s_gpu: float | None = None
    measured_gpu: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignWorkload(ScienceWorkload):
    """Generative protein design: designs per day at the customer's own `design_s` on `measured_gpu`."""

    design_s: float
    designs_day: float | None = None
    measured_gpu: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineTarget:
    """When the whole job must be done."""

    deadline_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineWorkload(ScienceWorkload):
    """One coupled job of `steps` steps, each `step_flop` FLOP and `step_bytes` bytes over `resident_gb` of memory."""

    precision: Precision
    step_flop: float
    step_bytes: float
    resident_gb: float
    steps: float
    halo_bytes: float = 0.0
    target: DeadlineTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatticeWorkload(ScienceWorkload):
    """A lattice code: `cells` cells for `steps` time steps; `method` is the number format of the distributions."""

    cells: float
    steps: float
    method: str | None = None
    target: DeadlineTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceTrainingWorkload(ScienceWorkload):
    """Training a protein or genomic language model of `parameters` parameters on `tokens` unpadded tokens."""

    parameters: float
    tokens: float
    precision: Precision = Precision.BF16
    packed: bool = True
    # Of one sequence; None is that of the application.
    context_tokens: int | None = None
    target: DeadlineTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeTrainingWorkload(ScienceWorkload):
    """One training by a published recipe to its target: data, model and batch are the recipe's."""

    target: DeadlineTarget | None = None
