"""Calibration: efficiencies, reserves, residual quantiles and evidence as loaded; the engine holds no such number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from service.errors import CalibrationError
from service.sizing.operation import CurveBook

ANY_SCOPE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One judgement of config/assumptions.yaml."""

    id: str
    value: float
    unit: str
    low: float
    high: float
    date: str
    source: str
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """One fitted number of config/calibration/*.yaml. `scope` says for what it was fitted, '*' for all."""

    name: str
    scope: str
    value: float
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualBand:
    """Quantiles of ln(measured / predicted) for one metric in one regime; `n` measured points behind it."""

    metric: str
    regime: str
    q10: float
    q50: float
    q90: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The month (YYYY-MM) in which a version of a serving engine came out; patches of it belong to it."""

    engine: str
    version: str
    month: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKernels:
    """Since which month (YYYY-MM) an engine runs an operation with kernels made for the GPU, not with general ones."""

    engine: str
    operation: str
    month: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Sequences that reference trainings of a model take to a published target at one global batch; least and most."""

    model: str
    method: str
    batch_sequences: int
    sequences: int
    low: int
    high: int
    round: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluations:
    """How the rules of a race to a published target have it evaluated: on `sequences`, after every so many.

    The first `skipped` + `skipped_batch_sequence` x global batch, rounded down, are left out.
    """

    model: str
    method: str
    every_sequences: int
    sequences: int
    skipped: int
    skipped_batch_sequence: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePoint:
    """A measured run, as far as it serves to tell what is near: id and the coordinates of its regime.

    `size` is the kind's own measure of a run, `length_tokens` that of one sequence and `output_tokens` what of that is
    generated; zero where nobody published it.
    """

    id: str
    kind: str
    subject: str
    gpu: str
    precision: str
    gpus: int
    size: float
    length_tokens: float = 0.0
    output_tokens: float = 0.0
    # Month of publication, YYYY-MM; empty where nobody said.
    published: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Measured runs, and the same by (kind, subject, gpu).

    An empty subject collects all runs of a GPU, an empty GPU all runs of a subject.
    """

    points: tuple[EvidencePoint, ...]
    by_place: Mapping[tuple[str, str, str], tuple[EvidencePoint, ...]]


def index_evidence(points: tuple[EvidencePoint, ...]) -> Evidence:
    """The runs with their index; made once, when the calibration is loaded."""
    places: dict[tuple[str, str, str], list[EvidencePoint]] = {}
    for point in points:
        for subject, gpu in ((point.subject, point.gpu), ("", point.gpu), (point.subject, "")):
            places.setdefault((point.kind, subject, gpu), []).append(point)
    return Evidence(points=points, by_place={place: tuple(found) for place, found in places.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillGraphs:
    """Since when a serving engine replays passes with prompts from graphs, where it has them for a model and layout."""

    engine: str
    month: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Everything that was fitted or judged, by name. Coefficients are keyed (name, scope), bands (metric, regime)."""

    version: str
    assumptions: Mapping[str, Assumption]
    coefficients: Mapping[tuple[str, str], Coefficient]
    residuals: Mapping[tuple[str, str], ResidualBand]
    curves: CurveBook
    evidence: Evidence
    # Month (YYYY-MM) of the newest measured serving run: what "today's software" means.
    newest_software: str
    # By engine and version.
    releases: Mapping[tuple[str, str], Release] = field(default_factory=lambda: MappingProxyType({}))
    # By engine and operation.
    own_kernels: Mapping[tuple[str, str], OwnKernels] = field(default_factory=lambda: MappingProxyType({}))
    prefill_graphs: Mapping[str, PrefillGraphs] = field(default_factory=lambda: MappingProxyType({}))
    # By model and method, batches ascending.
    targets: Mapping[tuple[str, str], tuple[Target, ...]] = field(default_factory=lambda: MappingProxyType({}))
    # By model and method.
    evaluations: Mapping[tuple[str, str], Evaluations] = field(default_factory=lambda: MappingProxyType({}))

    def assumption(self, assumption_id: str) -> float:
        """The value of one judgement. Raises CalibrationError when config/assumptions.yaml lacks it."""
        try:
            return self.assumptions[assumption_id].value
        except KeyError:
            raise CalibrationError(f"config/assumptions.yaml has no entry '{assumption_id}'") from None

    def coefficient(self, name: str, *scopes: str) -> float:
        """The fitted number of the first scope that has one, then of '*'. Raises CalibrationError without any."""
        for scope in (*scopes, ANY_SCOPE):
            found = self.coefficients.get((name, scope))
            if found is not None:
                return found.value
        raise CalibrationError(f"config/calibration has no coefficient '{name}' for {scopes or ANY_SCOPE}")

    def residual(self, metric: str, *regimes: str) -> ResidualBand:
        """The residual quantiles of the first regime that has any, then of '*'. Raises CalibrationError without."""
        for regime in (*regimes, ANY_SCOPE):
            found = self.residuals.get((metric, regime))
            if found is not None:
                return found
        raise CalibrationError(f"config/calibration has no residuals of '{metric}' for {regimes or ANY_SCOPE}")
