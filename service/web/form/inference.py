"""The form of serving a language model."""

from dataclasses import replace

from service.schemas.inference import PEAK_FACTOR, REQUESTS_USER_HOUR, DemandSchema, InferenceWorkloadSchema
from service.sizing.kind import Kind
from service.web.form.field import Alternative, Form, FormField, Group, fields_of

_WORKLOAD = InferenceWorkloadSchema()
_DEMAND = DemandSchema()
_WORDS = {
    "model": "Model",
    "workload.isl_tokens.mean": "Input tokens, mean",
    "workload.isl_tokens.p95": "95th percentile",
    "workload.osl_tokens.mean": "Output tokens, mean",
    "workload.osl_tokens.p95": "95th percentile",
    "users": "Users",
    "requests_user_hour": "Requests a user makes per hour",
    "peak_factor": "Peak over average",
    "requests_s": "Requests per second",
    "concurrency": "Requests in flight",
    "output_tokens_s": "Output tokens per second",
    "saturate_gpus": "GPUs to fill",
    "ttft_ms": "First token (TTFT) within",
    "tpot_ms": "Further tokens (TPOT) within",
    "percentile": "For so many in 100 requests",
    "weight_precision": "Weights",
    "kv_precision": "KV cache",
    "prefix_cache_hit_fraction": "Input already cached",
    "serving": "Prefill and decode",
    "draft_tokens": "Speculative tokens per step",
    "acceptance_fraction": "Of which accepted",
    "availability": "Spare servers",
    "growth_fraction_year": "Growth per year",
    "horizon_months": "Must suffice for",
    "engine": "Serving software",
}
_DEMANDS = (
    ("users", "Users", ("users", "requests_user_hour", "peak_factor")),
    ("requests_s", "Requests per second", ("requests_s",)),
    ("concurrency", "Requests in flight", ("concurrency",)),
    ("output_tokens_s", "Tokens per second", ("output_tokens_s",)),
    ("saturate_gpus", "Given GPUs", ("saturate_gpus",)),
)
INITIAL = {
    "workload.model": "llama-3.3-70b",
    "workload.demand": "users",
    "workload.demand.users": "5000",
    "workload.isl_tokens.mean": "2048",
    "workload.osl_tokens.mean": "300",
    "workload.slo.ttft_ms": "1000",
    "workload.slo.tpot_ms": "40",
}
"""What the form opens with: a chat service, so that it opens with an answer."""


# Filled in only where users are given, so the schema has them as absent.
_FILLED_IN = {"requests_user_hour": f"{REQUESTS_USER_HOUR:g}", "peak_factor": f"{PEAK_FACTOR:g}"}


def _of_demand(names: tuple[str, ...]) -> tuple[FormField, ...]:
    made = fields_of(_DEMAND, "workload.demand", *names, words=_WORDS)
    return tuple(replace(field, default=_FILLED_IN.get(field.path.rpartition(".")[2], "")) for field in made)


def _of_workload(*names: str) -> tuple[FormField, ...]:
    return fields_of(_WORKLOAD, "workload", *names, words=_WORDS)


FORM = Form(
    kind=Kind.INFERENCE.value,
    title="Serve a language model",
    lead="How many servers answer your users fast enough?",
    fixed=(("workload.kind", Kind.INFERENCE.value),),
    groups=(
        Group(title="What runs", fields=_of_workload("model")),
        Group(
            title="How much is asked",
            path="workload.demand",
            alternatives=tuple(
                Alternative(name=name, label=words, fields=_of_demand(names)) for name, words, names in _DEMANDS
            ),
        ),
        Group(title="How long requests are", fields=_of_workload("isl_tokens", "osl_tokens")),
        Group(title="How fast it must be", fields=_of_workload("slo.ttft_ms", "slo.tpot_ms", "slo.percentile")),
        Group(
            title="How it is served",
            folded=True,
            fields=_of_workload(
                "weight_precision",
                "kv_precision",
                "prefix_cache_hit_fraction",
                "serving",
                "speculative_decoding.draft_tokens",
                "speculative_decoding.acceptance_fraction",
                "availability",
                "growth_fraction_year",
                "horizon_months",
                "engine",
            ),
        ),
    ),
)
