"""Measured runs: the records of published evidence, holding only what may influence a prediction, id and measured.

Who published a run, where, when it was found and what was said about it never reach a prediction: there is no place
for it here. None is not published.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from service.sizing.precision import Precision
from service.sizing.workload import Arrival, LoadKind, Method, Recompute, Serving, ServingEngine, Sharding


class Refused(StrEnum):
    """Why a line gets no prediction."""

    OUT_OF_SCOPE = "out_of_scope"
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_GPU = "unknown_gpu"
    NOT_A_TIMING = "not_a_timing"
    UNSUPPORTED_METRIC = "unsupported_metric"
    UNPARSABLE = "unparsable"


class Scope(StrEnum):
    """What a line is: a run, a stated need, or something that Headroom does not size."""

    TIMING = "timing"
    REQUIREMENT = "requirement"
    OUT = "out"


class Speculation(StrEnum):
    """Whether a run drafted tokens, as far as published."""

    YES = "true"
    NO = "false"
    LIKELY = "likely"
    UNKNOWN = "unknown"


class FlopConvention(StrEnum):
    """What a published FLOP/s counts."""

    CAUSAL_HALVED = "causal_halved"
    FULL_ATTENTION = "full_attention"
    FULL_ATTENTION_WITH_RECOMPUTE = "full_attention_with_recompute"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSlo:
    """The bounds of a run that was driven as hard as they allow."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    percentile: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLoad:
    """How a run was driven, as far as published."""

    kind: LoadKind | None = None
    value: int | None = None
    arrival: Arrival | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPool:
    """One pool of a disaggregated run: gpus = instances x gpus_per_instance, where published."""

    instances: int | None = None
    gpus: int | None = None
    gpus_per_instance: int | None = None
    tp: int | None = None
    attention_dp: int | None = None
    ep: int | None = None
    moe_tp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRequests:
    """What was served."""

    model: str | None = None
    weight_precision: Precision | None = None
    kv_precision: Precision | None = None
    isl_tokens: float | None = None
    isl_tokens_assumed: bool | None = None
    osl_tokens: float | None = None
    speculative_decoding: Speculation | None = None
    slo: PublishedSlo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedServing:
    """On what it was served."""

    gpu: str | None = None
    gpus: int | None = None
    mode: Serving | None = None
    engine: ServingEngine | None = None
    software: str | None = None
    tp: int | None = None
    pp: int | None = None
    ep: int | None = None
    moe_tp: int | None = None
    attention_dp: int | None = None
    attention_dp_unknown: bool | None = None
    prefill: PublishedPool | None = None
    decode: PublishedPool | None = None
    load: PublishedLoad | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTraining:
    """What was trained."""

    model: str | None = None
    method: Method | None = None
    precision: Precision | None = None
    precision_recipe: str | None = None
    params_b: float | None = None
    seq_len_tokens: int | None = None
    global_batch_sequences: int | None = None
    samples_to_target: int | None = None
    base_weights: Precision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTrainer:
    """On what it was trained."""

    gpu: str | None = None
    gpus: int | None = None
    micro_batch: int | None = None
    gradient_accumulation: int | None = None
    tp: int | None = None
    pp: int | None = None
    vpp: int | None = None
    cp: int | None = None
    ep: int | None = None
    dp: int | None = None
    sharding: Sharding | None = None
    recompute: Recompute | None = None
    software: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedJob:
    """What a scientific code computed; `sizes` are its numbers by name (tokens, atoms, timestep_fs ...)."""

    application: str | None = None
    model: str | None = None
    version: str | None = None
    stage: str | None = None
    settings: str | None = None
    precision: str | None = None
    sizes: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedHost:
    """On what it was computed."""

    gpu: str | None = None
    gpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """A published run. `measured` is copied and compared, never read by a prediction; only its names are asked for."""

    id: str | None
    measured: Mapping[str, Any]
    published: str | None = None
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredInference(MeasuredRun):
    """A model that was served."""

    workload: PublishedRequests
    deployment: PublishedServing
    latency_statistic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTraining(MeasuredRun):
    """A model that was trained."""

    workload: PublishedTraining
    deployment: PublishedTrainer
    memory_statistic: str | None = None
    flop_convention: FlopConvention | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredScience(MeasuredRun):
    """A scientific job that was run."""

    workload: PublishedJob
    deployment: PublishedHost


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLine:
    """A line without a prediction, and why; `id` is None where nothing of it can be read."""

    id: str | None
    kind: str | None
    measured: Mapping[str, Any]
    refused: Refused
