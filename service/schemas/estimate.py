"""An estimate on the wire: a workload without demand or target on fixed hardware, and what it does there."""

from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validates_schema

from service.schemas.inference import InferenceWorkloadSchema
from service.schemas.issue import Issue
from service.schemas.month import MonthField
from service.schemas.plain import AnswerSchema, count, figure, flag, many, one, text
from service.schemas.plans import FacilitySchema, NetworkSchema, StorageSchema
from service.schemas.result import (
    AssumedSchema,
    LayoutSchema,
    WorkingStepSchema,
    figures_field,
    memory_field,
    memory_used_field,
    metrics_field,
    pool_field,
)
from service.schemas.science import SCIENCE_ESTIMATE_SCHEMAS
from service.schemas.strict import Amount, Choice, Count, Flag, RecordSchema, Text
from service.schemas.training import TrainingWorkloadSchema
from service.schemas.workload import science_field, workload_field
from service.sizing.kind import Kind
from service.sizing.result import Estimate
from service.sizing.workload import (
    Arrival,
    Demand,
    Deployment,
    InferenceWorkload,
    Load,
    LoadKind,
    Pool,
    Recompute,
    Serving,
    ServingEngine,
    Sharding,
    TrainingTarget,
    Workload,
)

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}
_NO_DEMAND = "An estimate is of fixed hardware and has no {}; leave it out, or post the workload to /v1/workloads."
_ONLY_OF: dict[str, tuple[Kind, ...]] = {
    "mode": (Kind.INFERENCE,),
    "load": (Kind.INFERENCE,),
    "attention_dp": (Kind.INFERENCE,),
    "moe_tp": (Kind.INFERENCE,),
    "prefill": (Kind.INFERENCE,),
    "decode": (Kind.INFERENCE,),
    "engine": (Kind.INFERENCE,),
    "software_month": (Kind.INFERENCE,),
    "micro_batch": (Kind.TRAINING,),
    "vpp": (Kind.TRAINING,),
    "cp": (Kind.TRAINING,),
    "recompute": (Kind.TRAINING,),
    "recompute_fraction": (Kind.TRAINING,),
    "sharding": (Kind.TRAINING,),
    "loads_whole": (Kind.TRAINING,),
    "plain_stack": (Kind.TRAINING,),
    "vendor_kernels": (Kind.TRAINING,),
    "chunked_loss": (Kind.TRAINING,),
    "replicas": (Kind.INFERENCE, Kind.SCIENCE),
    "host_cores": (Kind.SCIENCE,),
}
"""Fields of a deployment that mean something for some kinds of workload only."""
# Callers ask what their hardware does; what was the best that somebody published only measured runs say.
_LOADS = tuple(kind for kind in LoadKind if kind is not LoadKind.BEST_PUBLISHED)
_POOLS = ("prefill", "decode")
_FEWEST_OF_POOLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRequest:
    """A workload whose demand or target is empty, and the hardware that it runs on."""

    workload: Workload
    deployment: Deployment


class InferenceOnDeploymentSchema(InferenceWorkloadSchema):
    """Serving one language model on fixed hardware."""

    refused: ClassVar = {"demand": _NO_DEMAND.format("demand")}
    filled: ClassVar = {"demand": Demand()}

    class Meta:
        """Fixed hardware has no demand."""

        exclude = ("demand",)


class TrainingOnDeploymentSchema(TrainingWorkloadSchema):
    """Training or tuning one language model on fixed hardware."""

    refused: ClassVar = {"target": _NO_DEMAND.format("target")}
    filled: ClassVar = {"target": TrainingTarget()}

    class Meta:
        """Fixed hardware has no target."""

        exclude = ("target",)


class LoadSchema(RecordSchema):
    """How an inference deployment is loaded."""

    record = Load

    kind = Choice(
        "concurrency and rate need their number, highest_rate_within_slo the slo of the workload.",
        _LOADS,
        required=True,
    )
    value = Count("Requests in flight, for concurrency.", low=1, high=1_000_000, **_OPTIONAL)
    requests_s = Amount("Requests arriving per second, for rate.", low=1e-6, high=1e7, **_OPTIONAL)
    arrival = Choice(
        "Of concurrency: each request follows the end of another (steady), or all are sent at once (burst).",
        Arrival,
        load_default=Arrival.STEADY,
    )

    @validates_schema(skip_on_field_errors=True)
    def _number_of_kind(self, data: dict[str, Any], **_: Any) -> None:
        needed = {LoadKind.CONCURRENCY: "value", LoadKind.RATE: "requests_s"}.get(data["kind"])
        for name in ("value", "requests_s"):
            if name == needed and data.get(name) is None:
                raise ValidationError({name: [Issue(f"A load of kind {data['kind']} needs it.")]})
            if name != needed and data.get(name) is not None:
                raise ValidationError({name: [Issue(f"A load of kind {data['kind']} has none.")]})
        if data["arrival"] is Arrival.BURST and data["kind"] is not LoadKind.CONCURRENCY:
            message = f"A load of kind {data['kind']} arrives steadily; only concurrency comes as a burst."
            raise ValidationError({"arrival": [Issue(message, value=data["arrival"], limit=Arrival.STEADY)]})


class PoolSchema(RecordSchema):
    """The GPUs of a disaggregated deployment that only prefill or only decode; what is left out the engine chooses."""

    record = Pool

    instances = Count("Model instances in the pool.", low=1, high=200_000, **_OPTIONAL)
    tp = Count("Tensor parallelism of an instance.", low=1, high=1024, **_OPTIONAL)
    ep = Count("Expert parallelism of an instance.", low=1, high=4096, **_OPTIONAL)
    attention_dp = Count("Data parallelism of the attention part.", low=1, high=4096, **_OPTIONAL)
    gpus = Count("GPUs of the pool: instances x tp x attention_dp.", low=1, high=200_000, **_OPTIONAL)


class DeploymentSchema(RecordSchema):
    """Fixed hardware; what is left out the engine chooses, and says so."""

    record = Deployment

    gpu = Text("GPU, by id.", required=True)
    gpus = Count("How many.", low=1, high=200_000, required=True)
    server = Text("Server, by id.", **_OPTIONAL)
    tp = Count("Tensor parallelism.", low=1, high=1024, **_OPTIONAL)
    pp = Count("Pipeline parallelism.", low=1, high=1024, **_OPTIONAL)
    dp = Count("Data parallelism; of inference, the copies of the model.", low=1, high=200_000, **_OPTIONAL)
    ep = Count("Expert parallelism.", low=1, high=4096, **_OPTIONAL)
    cp = Count("Context parallelism.", low=1, high=1024, **_OPTIONAL)
    attention_dp = Count("Data parallelism of the attention part.", low=1, high=4096, **_OPTIONAL)
    mode = Choice("Whether prefill and decode share GPUs.", Serving, load_default=Serving.AGGREGATED)
    # Under its own name it would hide Schema.load from a reader.
    load_ = fields.Nested(
        LoadSchema, data_key="load", attribute="load", **_OPTIONAL, metadata={"description": "Absent = saturated."}
    )
    micro_batch = Count("Sequences per step and rank.", low=1, high=100_000, **_OPTIONAL)
    vpp = Count("Virtual pipeline stages per GPU.", low=1, high=1024, **_OPTIONAL)
    recompute = Choice("Which activations are computed again.", tuple(Recompute), **_OPTIONAL)
    recompute_fraction = Amount(
        "Share of the layers that full recompute makes again; all where it is left out.",
        low=0.001,
        high=1.0,
        **_OPTIONAL,
    )
    sharding = Choice("Which training states are sharded.", tuple(Sharding), **_OPTIONAL)
    loads_whole = Flag("Every GPU holds a whole copy of sharded weights while they are loaded.", load_default=False)
    plain_stack = Flag(
        "Layers train as PyTorch brings them, without the fused kernels of Megatron, NeMo or Transformer Engine.",
        load_default=False,
    )
    vendor_kernels = Flag(
        "Attention, norms and rotations are those of Transformer Engine or such in layers of a plain_stack too.",
        load_default=False,
    )
    chunked_loss = Flag(
        "The loss is computed on a part of the tokens after another, so that logits never lie in memory in FP32.",
        load_default=False,
    )
    replicas = Count("Independent copies of the model or job.", low=1, high=1_000_000, **_OPTIONAL)
    host_cores = Count("CPU cores of all servers.", low=1, high=10_000_000, **_OPTIONAL)
    moe_tp = Count(
        "How many ways one expert is split; ep is how many ways they are dealt out.", low=1, high=1024, **_OPTIONAL
    )
    prefill = fields.Nested(PoolSchema, **_OPTIONAL, metadata={"description": "The GPUs that prefill; disaggregated."})
    decode = fields.Nested(PoolSchema, **_OPTIONAL, metadata={"description": "The GPUs that decode; disaggregated."})
    engine = Choice("Software that serves the model; absent = the workload's.", ServingEngine, **_OPTIONAL)
    software_month = MonthField("When the serving software was published; absent = today's.", **_OPTIONAL)

    @validates_schema(skip_on_field_errors=True)
    def _pools_of_mode(self, data: dict[str, Any], **_: Any) -> None:
        mode: Serving = data["mode"]
        wrong = [name for name in _POOLS if data[name] is not None and mode is not Serving.DISAGGREGATED]
        if wrong:
            message = f"Goes with mode disaggregated only; here mode is {mode}."
            raise ValidationError({name: [Issue(message, limit=Serving.DISAGGREGATED)] for name in wrong})


class EstimateRequestSchema(RecordSchema):
    """The body of `POST /v1/estimates`."""

    record = EstimateRequest

    workload = workload_field(
        "WorkloadWithoutDemand",
        {
            Kind.INFERENCE: InferenceOnDeploymentSchema,
            Kind.TRAINING: TrainingOnDeploymentSchema,
            Kind.SCIENCE: science_field("ScienceWithoutDemand", SCIENCE_ESTIMATE_SCHEMAS),
        },
    )
    deployment = fields.Nested(DeploymentSchema, required=True, metadata={"description": "The fixed hardware."})

    @validates_schema(pass_original=True, skip_on_field_errors=True)
    def _fields_of_kind(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        kind: Kind = data["workload"].kind
        wrong = {
            name: [Issue(f"Goes with {' and '.join(kinds)} only.")]
            for name, kinds in _ONLY_OF.items()
            if kind not in kinds and original["deployment"].get(name) is not None
        }
        if wrong:
            raise ValidationError({"deployment": wrong})

    @validates_schema(skip_on_field_errors=True)
    def _slo_of_load(self, data: dict[str, Any], **_: Any) -> None:
        workload, load = data["workload"], data["deployment"].load
        within = load is not None and load.kind is LoadKind.HIGHEST_RATE_WITHIN_SLO
        if within and isinstance(workload, InferenceWorkload) and workload.slo is None:
            message = f"The load {load.kind} needs an slo: the bounds that the rate must keep."
            raise ValidationError({"workload": {"slo": [Issue(message)]}})

    @validates_schema(skip_on_field_errors=True)
    def _two_pools(self, data: dict[str, Any], **_: Any) -> None:
        deployment = data["deployment"]
        if deployment.mode is Serving.DISAGGREGATED and deployment.gpus < _FEWEST_OF_POOLS:
            message = "Two pools need at least two GPUs: one that prefills and one that decodes."
            issue = Issue(message, value=deployment.gpus, limit=f"at least {_FEWEST_OF_POOLS}")
            raise ValidationError({"deployment": {"gpus": [issue]}})

    @validates_schema(skip_on_field_errors=True)
    def _one_engine(self, data: dict[str, Any], **_: Any) -> None:
        workload, engine = data["workload"], data["deployment"].engine
        if isinstance(workload, InferenceWorkload) and workload.engine not in {None, engine} and engine is not None:
            message = f"Contradicts workload.engine, which is {workload.engine}; give one of them."
            raise ValidationError({"deployment": {"engine": [Issue(message, value=engine, limit=workload.engine)]}})


class EstimateSchema(AnswerSchema):
    """What one fixed deployment does."""

    record = Estimate

    kind = text("Kind of workload.")
    gpu = text("GPU, by id.")
    gpus = count("How many.")
    layout = one(LayoutSchema, "Layout of one instance.")
    replicas = count("Independent copies.")
    mode = text("How it runs, such as aggregated or disaggregated.")
    prefill = pool_field("prefill")
    decode = pool_field("decode")
    weight_precision = text("Number format of the weights.", allow_none=True)
    kv_precision = text("Number format of the KV cache.", allow_none=True)
    precision = text("Number format of the arithmetic.", allow_none=True)
    batch = figure("Sequences in flight per instance.", allow_none=True)
    fits = flag("Whether it fits into memory; speeds are given even when it does not.")
    metrics = metrics_field()
    memory_gb_gpu = memory_field()
    memory_used_gb_gpu = memory_used_field()
    memory_usable_gb_gpu = figure("Memory usable on it.")
    bottleneck = text("What binds; of a load within the slo, which bound is out of reach.")
    meets_slo = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Whether the load keeps the slo, as the working predicts it; null without an slo."},
    )
    utilisation = figures_field("Shares of what the hardware could do.")
    servers = count("Servers that carry the GPUs; null where no system of the catalog does.", allow_none=True)
    requirements = figures_field("What else the workload asks for.")
    network = one(NetworkSchema, "The fabric between servers; null where the servers are unknown.", allow_none=True)
    storage = one(StorageSchema, "What the workload asks of storage.", allow_none=True)
    facility = one(FacilitySchema, "Power, cooling and space; null where the servers are unknown.", allow_none=True)
    assumed = many(AssumedSchema, "Defaults and assumptions that the answer rests on.")
    working = many(WorkingStepSchema, "Every quantity, its formula, its inputs and their sources, in order.")
    engine_version = text("Version of the engine.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateAnswer:
    """An estimate with the versions that it was made under."""

    estimate: Estimate
    catalog_version: str
    calibration_version: str


class EstimateAnswerSchema(EstimateSchema):
    """The answer of `POST /v1/estimates`."""

    catalog_version = text("Digest of the facts.")
    calibration_version = text("Version of the calibration.")

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """The versions stand beside the estimate, whose fields are the rest."""
        source = obj if attr.endswith("_version") and attr != "engine_version" else obj.estimate
        return getattr(source, attr, default)
