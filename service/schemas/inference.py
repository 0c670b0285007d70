"""An inference workload on the wire."""

from typing import Any

from marshmallow import ValidationError, fields, post_dump, validates_schema

from service.schemas.issue import Issue
from service.schemas.length import LengthField
from service.schemas.model import ModelField
from service.schemas.strict import (
    Amount,
    Choice,
    Count,
    RecordSchema,
    drop_absent,
    given,
    require_exactly_one,
    some_of,
)
from service.sizing.kind import Kind
from service.sizing.precision import Precision
from service.sizing.workload import (
    Availability,
    Demand,
    InferenceWorkload,
    Serving,
    ServingEngine,
    Slo,
    SpeculativeDecoding,
)

MODEL_PRECISIONS = (
    Precision.BF16,
    Precision.FP16,
    Precision.FP8,
    Precision.INT8,
    Precision.FP4,
    Precision.INT4,
    Precision.AUTO,
)
_DEMANDS = ("requests_s", "concurrency", "output_tokens_s", "users", "saturate_gpus")
_OF_USERS = ("requests_user_hour", "peak_factor")
REQUESTS_USER_HOUR = 6.0
PEAK_FACTOR = 3.0
_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}


class DemandSchema(RecordSchema):
    """How much is asked: exactly one of the first five."""

    record = Demand
    conditions = some_of("oneOf", _DEMANDS)

    requests_s = Amount("Requests per second at the peak.", low=1e-6, high=1e7, **_OPTIONAL)
    concurrency = Amount("Requests in flight at once.", low=1e-3, high=1e8, **_OPTIONAL)
    output_tokens_s = Amount("Output tokens per second over all requests.", low=1e-3, high=1e11, **_OPTIONAL)
    users = Amount("People who use it; goes with requests_user_hour and peak_factor.", low=1, high=1e10, **_OPTIONAL)
    saturate_gpus = Count("How much can that many GPUs do?", low=1, high=100_000, **_OPTIONAL)
    requests_user_hour = Amount(
        f"Requests of one user per hour; {REQUESTS_USER_HOUR:g} when left out.", low=1e-4, high=1e5, **_OPTIONAL
    )
    peak_factor = Amount(f"Peak hour over average hour; {PEAK_FACTOR:g} when left out.", low=1, high=100, **_OPTIONAL)

    @validates_schema(pass_original=True)
    def _one(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        require_exactly_one(original, _DEMANDS)
        if data.get("users") is None:
            for name in given(original, _OF_USERS):
                raise ValidationError({name: [Issue("Goes with users only.", limit="only beside users")]})
        else:
            # Marshmallow calls this before the record is made, so a default may still be filled in.
            data["requests_user_hour"] = data.get("requests_user_hour") or REQUESTS_USER_HOUR
            data["peak_factor"] = data.get("peak_factor") or PEAK_FACTOR

    @post_dump
    def _chosen(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return drop_absent(data)


class SloSchema(RecordSchema):
    """Bounds that a percentile of the requests must meet."""

    record = Slo
    conditions = some_of("anyOf", ("ttft_ms", "tpot_ms"))

    ttft_ms = Amount("Time to first token, at most.", low=1e-3, high=3_600_000, **_OPTIONAL)
    tpot_ms = Amount("Mean time per output token after the first, at most.", low=1e-3, high=60_000, **_OPTIONAL)
    percentile = Amount("Share of requests that must meet it, in percent.", low=50, high=99.9, load_default=95.0)

    @validates_schema
    def _some(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("ttft_ms") is None and data.get("tpot_ms") is None:
            raise ValidationError(Issue("Give ttft_ms, tpot_ms or both; leave slo out to ask for throughput only."))


class SpeculativeDecodingSchema(RecordSchema):
    """A draft that a larger model checks."""

    record = SpeculativeDecoding

    draft_tokens = Count("Tokens drafted per step.", low=1, high=16, required=True)
    acceptance_fraction = Amount("Probability that a drafted token is accepted.", low=0, high=1, required=True)


class InferenceWorkloadSchema(RecordSchema):
    """Serving one language model."""

    record = InferenceWorkload

    kind = Choice("What kind of workload this is.", (Kind.INFERENCE,), required=True)
    model = ModelField("An id or alias of the zoo, an inline architecture, or hf_config.", required=True)
    isl_tokens = LengthField("Input sequence length of a request.", low=1, high=10_000_000, required=True)
    osl_tokens = LengthField("Output sequence length of a request.", low=1, high=1_000_000, required=True)
    demand = fields.Nested(DemandSchema, required=True, metadata={"description": "Exactly one kind of demand."})
    weight_precision = Choice("Number format of the weights.", MODEL_PRECISIONS, load_default=Precision.AUTO)
    kv_precision = Choice("Number format of the KV cache.", MODEL_PRECISIONS, load_default=Precision.AUTO)
    slo = fields.Nested(
        SloSchema, **_OPTIONAL, metadata={"description": "Service-level objective; absent = throughput only."}
    )
    prefix_cache_hit_fraction = Amount(
        "Share of input tokens whose keys and values are still cached.", low=0, high=0.99, load_default=0.0
    )
    serving = Choice("Whether prefill and decode share GPUs.", Serving, load_default=Serving.AUTO)
    speculative_decoding = fields.Nested(
        SpeculativeDecodingSchema, **_OPTIONAL, metadata={"description": "Draft and verify; absent = none."}
    )
    availability = Choice(
        "Spare servers: none, or one more than the load needs.", Availability, load_default=Availability.N
    )
    growth_fraction_year = Amount("Growth of the demand per year.", low=0, high=10, load_default=0.0)
    horizon_months = Amount("For how long the answer must suffice.", low=1, high=120, load_default=36.0)
    engine = Choice(
        "Software that serves the model; without it the engine takes its default and says which.",
        ServingEngine,
        **_OPTIONAL,
    )
