"""One line of published evidence -> a measured run.

Lenient, because a line was written by somebody else: a field that is missing, of the wrong type or outside its bounds
counts as not published (`unreadable` names the latter two), and what nobody asked for is not read.
"""

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from service.schemas.inference import MODEL_PRECISIONS
from service.schemas.measured import (
    FlopConvention,
    MeasuredInference,
    MeasuredRun,
    MeasuredScience,
    MeasuredTraining,
    PublishedHost,
    PublishedJob,
    PublishedLoad,
    PublishedPool,
    PublishedRequests,
    PublishedServing,
    PublishedSlo,
    PublishedTrainer,
    PublishedTraining,
    Refused,
    RefusedLine,
    Scope,
    Speculation,
)
from service.schemas.strict import Amount, Choice, Count, Flag, Text
from service.schemas.words import WordedSchema
from service.sizing.kind import Kind
from service.sizing.workload import Arrival, LoadKind, Method, Recompute, Serving, ServingEngine, Sharding

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}
# Loads of the published lines; a rate is what callers ask about.
_LOADS = tuple(kind for kind in LoadKind if kind is not LoadKind.RATE)
_SIZES_OF_SCIENCE = (
    "tokens",
    "residues",
    "atoms",
    "coverage",
    "parameters",
    "diffusion_steps",
    "steps",
    "cells",
    "timestep_fs",
    "crop_residues",
)


class SpeculationField(fields.Field[Any]):
    """true, false, "likely" or "unknown"."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Speculation:
        try:
            return Speculation(str(value).lower() if isinstance(value, bool) else value)
        except ValueError as error:
            raise ValidationError("Must be true, false, likely or unknown.") from error


class SamplesField(Count):
    """A count that sources give as a mean over runs."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        whole = round(value) if isinstance(value, float) and math.isfinite(value) else value
        return super()._deserialize(whole, attr, data, **kwargs)


def _degree(what: str) -> Count:
    # Some sources write 0 for a split that does not apply.
    return Count(what, low=0, high=200_000, **_OPTIONAL)


def _words(what: str) -> Text:
    return Text(what, longest=2_000, shortest=0, **_OPTIONAL)


class _LenientSchema(WordedSchema):
    """Reads the fields that it knows and leaves the others aside."""

    class Meta:
        """A line may hold more than a prediction may see."""

        unknown = EXCLUDE


class _SloSchema(_LenientSchema):
    ttft_ms = Amount("Bound.", low=1e-3, high=3_600_000, **_OPTIONAL)
    tpot_ms = Amount("Bound.", low=1e-3, high=60_000, **_OPTIONAL)
    percentile = Amount("Of requests.", low=50, high=99.9, **_OPTIONAL)


class _LoadSchema(_LenientSchema):
    kind = Choice("How it was driven.", _LOADS, **_OPTIONAL)
    value = Count("Requests in flight.", low=1, high=1_000_000, **_OPTIONAL)
    arrival = Choice("All at once.", Arrival, **_OPTIONAL)


class _PoolSchema(_LenientSchema):
    instances = _degree("Instances.")
    gpus = _degree("GPUs of the pool.")
    gpus_per_instance = _degree("GPUs of an instance.")
    tp = _degree("Tensor parallelism.")
    attention_dp = _degree("Attention data parallelism.")
    ep = _degree("Expert parallelism.")
    moe_tp = _degree("Tensor parallelism of experts.")


class _RequestsSchema(_LenientSchema):
    model = Text("Model.", **_OPTIONAL)
    weight_precision = Choice("Of the weights.", MODEL_PRECISIONS, **_OPTIONAL)
    kv_precision = Choice("Of the KV cache.", MODEL_PRECISIONS, **_OPTIONAL)
    isl_tokens = Amount("Input.", low=1, high=10_000_000, **_OPTIONAL)
    isl_tokens_assumed = Flag("Not stated by the source.", **_OPTIONAL)
    osl_tokens = Amount("Output.", low=1, high=1_000_000, **_OPTIONAL)
    speculative_decoding = SpeculationField(**_OPTIONAL)
    slo = fields.Nested(_SloSchema, **_OPTIONAL)


class _ServingSchema(_LenientSchema):
    gpu = Text("GPU.", **_OPTIONAL)
    gpus = _degree("GPUs.")
    mode = Choice("Serving mode.", (Serving.AGGREGATED, Serving.DISAGGREGATED), **_OPTIONAL)
    engine = Choice("Serving software.", ServingEngine, **_OPTIONAL)
    software = _words("Its version.")
    tp = _degree("Tensor parallelism.")
    pp = _degree("Pipeline parallelism.")
    ep = _degree("Expert parallelism.")
    moe_tp = _degree("Tensor parallelism of experts.")
    attention_dp = _degree("Attention data parallelism.")
    attention_dp_unknown = Flag("Probably ran attention-DP.", **_OPTIONAL)
    prefill = fields.Nested(_PoolSchema, **_OPTIONAL)
    decode = fields.Nested(_PoolSchema, **_OPTIONAL)
    # Under its own name it would hide Schema.load from a reader.
    load_ = fields.Nested(_LoadSchema, data_key="load", attribute="load", **_OPTIONAL)


class _TrainingSchema(_LenientSchema):
    model = Text("Model.", **_OPTIONAL)
    method = Choice("How it was trained.", Method, **_OPTIONAL)
    precision = Choice("Of the products.", MODEL_PRECISIONS, **_OPTIONAL)
    precision_recipe = _words("Scaling of a narrow format.")
    params_b = Amount("Parameters.", low=1e-6, high=1e6, **_OPTIONAL)
    seq_len_tokens = Count("Of a sequence.", low=1, high=10_000_000, **_OPTIONAL)
    global_batch_sequences = Count("Of a step.", low=1, high=1_000_000, **_OPTIONAL)
    samples_to_target = SamplesField("Sequences of the whole run.", low=1, high=10**15, **_OPTIONAL)
    base_weights = Choice("Of frozen weights.", MODEL_PRECISIONS, **_OPTIONAL)


class _TrainerSchema(_LenientSchema):
    gpu = Text("GPU.", **_OPTIONAL)
    gpus = _degree("GPUs.")
    micro_batch = _degree("Sequences per step and rank.")
    gradient_accumulation = _degree("Micro-batches of a step.")
    tp = _degree("Tensor parallelism.")
    pp = _degree("Pipeline parallelism.")
    vpp = _degree("Virtual stages.")
    cp = _degree("Context parallelism.")
    ep = _degree("Expert parallelism.")
    dp = _degree("Data parallelism.")
    sharding = Choice("What is sharded.", Sharding, **_OPTIONAL)
    recompute = Choice("What is computed again.", Recompute, **_OPTIONAL)
    software = _words("The training software.")


class _JobSchema(_LenientSchema):
    application = Text("Application.", **_OPTIONAL)
    model = _words("Benchmark or model.")
    version = _words("Of the application.")
    stage = _words("Part of the job.")
    settings = _words("Settings, an input.")
    precision = _words("As published.")


class _HostSchema(_LenientSchema):
    gpu = Text("GPU.", **_OPTIONAL)
    gpus = _degree("GPUs.")


class _LineSchema(_LenientSchema):
    published = Text("Month.", **_OPTIONAL)
    latency_statistic = _words("Mean or median.")
    memory_statistic = _words("Allocated or reserved.")
    flop_convention = Choice("What a FLOP/s counts.", FlopConvention, **_OPTIONAL)


def _line(workload: type[Schema], deployment: type[Schema]) -> Schema:
    nested: dict[str, fields.Field[Any]] = {
        "workload": fields.Nested(workload, **_OPTIONAL),
        "deployment": fields.Nested(deployment, **_OPTIONAL),
    }
    return _LineSchema.from_dict(nested)()


_SCHEMAS = {
    Kind.INFERENCE: _line(_RequestsSchema, _ServingSchema),
    Kind.TRAINING: _line(_TrainingSchema, _TrainerSchema),
    Kind.SCIENCE: _line(_JobSchema, _HostSchema),
}


def read_measured(line: Any) -> MeasuredRun | RefusedLine:
    """The run of one line, as JSON holds it; never raises: a line that holds no run is refused with the reason."""
    if not isinstance(line, Mapping):
        return unparsable()
    measured, line_id = line.get("measured"), line.get("id")
    known_id = line_id if isinstance(line_id, str) else None
    try:
        kind, scope = Kind(line["kind"]), Scope(line.get("scope", Scope.TIMING))
    except (KeyError, ValueError):
        return unparsable()
    if not isinstance(measured, Mapping) or not measured:
        return unparsable()
    if scope is not Scope.TIMING:
        reason = Refused.OUT_OF_SCOPE if scope is Scope.OUT else Refused.NOT_A_TIMING
        return RefusedLine(id=known_id, kind=kind, measured=measured, refused=reason)
    found, unreadable = _readable(_SCHEMAS[kind], line)
    about: dict[str, Any] = {
        "id": known_id,
        "measured": measured,
        "published": found.get("published"),
        "unreadable": unreadable,
    }
    workload, deployment = found.get("workload") or {}, found.get("deployment") or {}
    if kind is Kind.INFERENCE:
        statistic = found.get("latency_statistic")
        served, serving = _requests(workload), _serving(deployment)
        return MeasuredInference(**about, workload=served, deployment=serving, latency_statistic=statistic)
    if kind is Kind.TRAINING:
        about |= {name: found.get(name) for name in ("memory_statistic", "flop_convention")}
        trainer = PublishedTrainer(**_positive(deployment))
        return MeasuredTraining(**about, workload=PublishedTraining(**workload), deployment=trainer)
    job = PublishedJob(**workload, sizes=MappingProxyType(_sizes(line.get("workload"))))
    return MeasuredScience(**about, workload=job, deployment=PublishedHost(**_positive(deployment)))


def unparsable() -> RefusedLine:
    """A line of which nothing can be said."""
    return RefusedLine(id=None, kind=None, measured={}, refused=Refused.UNPARSABLE)


def _readable(schema: Schema, line: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that can be read, and the dotted names of those that are there and cannot."""
    try:
        return schema.load(line), ()
    except ValidationError as error:
        found = error.valid_data if isinstance(error.valid_data, dict) else {}
        return found, tuple(sorted(_dotted(error.messages)))


def _dotted(messages: Any, place: str = "") -> Iterator[str]:
    if not isinstance(messages, Mapping):
        yield place
        return
    for name, inner in messages.items():
        yield from _dotted(inner, place if name == "_schema" else f"{place}.{name}".lstrip("."))


def _positive(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value == 0 and not isinstance(value, bool) else value for name, value in values.items()}


def _requests(values: Mapping[str, Any]) -> PublishedRequests:
    slo = values.get("slo")
    return PublishedRequests(**{**values, "slo": None if slo is None else PublishedSlo(**slo)})


def _serving(values: Mapping[str, Any]) -> PublishedServing:
    load, pools = values.get("load"), {name: values.get(name) for name in ("prefill", "decode")}
    nested = {name: None if pool is None else PublishedPool(**_positive(pool)) for name, pool in pools.items()}
    return PublishedServing(
        **{**_positive(values), **nested, "load": None if load is None else PublishedLoad(**load)},
    )


def _sizes(workload: Any) -> dict[str, float]:
    """Positive numbers of a scientific job, by name."""
    if not isinstance(workload, Mapping):
        return {}
    return {
        name: float(value)
        for name, value in workload.items()
        if name in _SIZES_OF_SCIENCE
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0.0 < value < float("inf")
    }
