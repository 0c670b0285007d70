"""Calibration: efficiencies, reserves and residual quantiles as loaded from config/; the engine holds no such number."""

from dataclasses import dataclass


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
class EvidencePoint:
    """A measured run, as far as it serves to tell what is near: id and the coordinates of its regime."""

    id: str
    kind: str
    subject: str
    gpu: str
    precision: str
    gpus: int
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Everything that was fitted or judged. Raises CalibrationError for a name it lacks."""

    version: str
    assumptions: tuple[Assumption, ...]
    coefficients: tuple[Coefficient, ...]
    residuals: tuple[ResidualBand, ...]
    evidence: tuple[EvidencePoint, ...]
