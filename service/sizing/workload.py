"""What a customer asks: inference and training workloads, constraints, and the deployment of an estimate."""

from dataclasses import dataclass, field
from enum import StrEnum

from service.sizing.architecture import ModelArchitecture
from service.sizing.kind import Kind
from service.sizing.precision import Precision
from service.sizing.science.workload import ScienceWorkload


class Serving(StrEnum):
    """Whether prefill and decode share GPUs."""

    AUTO = "auto"
    AGGREGATED = "aggregated"
    DISAGGREGATED = "disaggregated"


class ServingEngine(StrEnum):
    """The software that serves a model."""

    TENSORRT_LLM = "tensorrt-llm"
    VLLM = "vllm"
    SGLANG = "sglang"


class Availability(StrEnum):
    """Spare capacity: none, or one server more than the load needs."""

    N = "n"
    N_PLUS_1 = "n+1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLength:
    """A length distribution: its mean and, where given, its 95th percentile."""

    mean: float
    p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """How much is asked: exactly one of the first five is set. `requests_user_hour`, `peak_factor` go with users."""

    requests_s: float | None = None
    concurrency: float | None = None
    output_tokens_s: float | None = None
    users: float | None = None
    saturate_gpus: int | None = None
    requests_user_hour: float | None = None
    peak_factor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Bounds that `percentile` of the requests must meet. A bound that is None does not bind."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    percentile: float = 95.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculativeDecoding:
    """A draft of `draft_tokens` per step, each accepted with this probability."""

    draft_tokens: int
    acceptance_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceWorkload:
    """Serving one language model. `model` is a zoo id, or an architecture that the caller brought."""

    model: str | ModelArchitecture
    isl_tokens: TokenLength
    osl_tokens: TokenLength
    demand: Demand
    weight_precision: Precision = Precision.AUTO
    kv_precision: Precision = Precision.AUTO
    slo: Slo | None = None
    prefix_cache_hit_fraction: float = 0.0
    serving: Serving = Serving.AUTO
    speculative_decoding: SpeculativeDecoding | None = None
    availability: Availability = Availability.N
    growth_fraction_year: float = 0.0
    horizon_months: float = 36.0
    # None: the engine takes its default, and says which.
    engine: ServingEngine | None = None
    kind: Kind = field(default=Kind.INFERENCE, init=False)


class Method(StrEnum):
    """How a model is trained."""

    PRETRAIN = "pretrain"
    CONTINUED_PRETRAIN = "continued_pretrain"
    SFT = "sft"
    LORA = "lora"
    QLORA = "qlora"
    DPO = "dpo"
    GRPO = "grpo"


class Optimizer(StrEnum):
    """What AdamW keeps of a trained parameter. `auto` is FP32 moments, BF16 ones for mixture-of-experts models.

    `adamw_bf16` has an FP32 master beside its BF16 moments, `adamw_pure_bf16` has none. `adamw_8bit_paged` and
    `adamw_host` apply gradients layer by layer to moments that lie in host memory.
    """

    AUTO = "auto"
    ADAMW_FP32 = "adamw_fp32"
    ADAMW_BF16 = "adamw_bf16"
    ADAMW_PURE_BF16 = "adamw_pure_bf16"
    ADAMW_8BIT = "adamw_8bit"
    ADAMW_8BIT_PAGED = "adamw_8bit_paged"
    ADAMW_HOST = "adamw_host"


class PrecisionRecipe(StrEnum):
    """How numbers of a narrow format are scaled: by tensor, with the last or the current maximum, or by blocks."""

    AUTO = "auto"
    FP8_DELAYED_SCALING = "fp8-delayed-scaling"
    FP8_CURRENT_SCALING = "fp8-current-scaling"
    FP8_BLOCKWISE = "fp8-blockwise"
    MXFP8 = "mxfp8"
    NVFP4 = "nvfp4"


class LoraTargets(StrEnum):
    """Which matrices have adapters: those of every layer, experts included, or those of attention and its like."""

    ALL = "all"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTarget:
    """Exactly one is set."""

    deadline_days: float | None = None
    gpus: int | None = None
    budget_usd: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingWorkload:
    """Training one language model for `tokens` tokens."""

    model: str | ModelArchitecture
    method: Method
    tokens: float
    target: TrainingTarget
    precision: Precision = Precision.BF16
    precision_recipe: PrecisionRecipe = PrecisionRecipe.AUTO
    seq_len_tokens: int = 4096
    # None is the usual one, or the nearest to it that the GPUs divide.
    global_batch_sequences: int | None = None
    checkpoint_interval_min: float = 60.0
    dataset_tb: float | None = None
    # What the storage sustains; None is storage that is sized for the checkpoints.
    storage_gb_s: float | None = None
    lora_rank: int = 16
    lora_targets: LoraTargets = LoraTargets.ALL
    optimizer: Optimizer = Optimizer.AUTO
    # Tokens of the busiest expert rank over the mean; None is the usual.
    expert_imbalance_factor: float | None = None
    kind: Kind = field(default=Kind.TRAINING, init=False)


Workload = InferenceWorkload | TrainingWorkload | ScienceWorkload


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What the site, the purse and the law allow. None does not bind."""

    allowed_gpus: tuple[str, ...] | None = None
    allowed_servers: tuple[str, ...] | None = None
    cooling: str | None = None
    max_rack_kw: float | None = None
    # Heat of one rack that the air of the room takes away; of a liquid-cooled rack only the part that goes into air.
    max_rack_air_kw: float | None = None
    max_rack_kg: float | None = None
    max_facility_kw: float | None = None
    max_racks: int | None = None
    max_budget_usd: str | None = None
    deliver_by: str | None = None
    destination_country: str | None = None
    # The site's own figures in place of the presets.
    pue: float | None = None
    grid_kg_co2_kwh: float | None = None
    min_confidence_fraction: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The part of a request that has an answer: its digest is the identity of a sizing."""

    workload: Workload
    constraints: Constraints = field(default_factory=Constraints)


def budget_usd(question: Question) -> float | None:
    """The lowest of the stated budgets: the engine weighs servers by it without knowing what a weight is."""
    stated = [question.constraints.max_budget_usd]
    if isinstance(question.workload, TrainingWorkload):
        stated.append(question.workload.target.budget_usd)
    return min((float(amount) for amount in stated if amount is not None), default=None)


class LoadKind(StrEnum):
    """How an inference deployment is loaded.

    `best_published` is the best point that anybody published of a deployment: only measured runs are loaded so.
    """

    CONCURRENCY = "concurrency"
    SATURATED = "saturated"
    HIGHEST_RATE_WITHIN_SLO = "highest_rate_within_slo"
    RATE = "rate"
    BEST_PUBLISHED = "best_published"


class Arrival(StrEnum):
    """Whether requests in flight take each other's place one by one, or are all sent at once."""

    STEADY = "steady"
    BURST = "burst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`value` requests in flight (concurrency, in this arrival) or `requests_s` arriving (rate).

    `alike`: all requests have the very same lengths, as those of benchmarks have and those of people never do.
    """

    kind: LoadKind = LoadKind.SATURATED
    value: int | None = None
    requests_s: float | None = None
    arrival: Arrival = Arrival.STEADY
    alike: bool = False


class Recompute(StrEnum):
    """Activation recomputation."""

    NONE = "none"
    SELECTIVE = "selective"
    FULL = "full"


class Sharding(StrEnum):
    """Which training states are sharded over data parallel ranks."""

    NONE = "none"
    ZERO1 = "zero1"
    ZERO2 = "zero2"
    ZERO3 = "zero3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One side of a disaggregated deployment: `gpus` in all, in so many instances of tp x attention_dp GPUs each."""

    instances: int | None = None
    tp: int | None = None
    ep: int | None = None
    attention_dp: int | None = None
    gpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Fixed hardware and layout of an estimate. What is None the engine chooses, and says so."""

    gpu: str
    gpus: int
    server: str | None = None
    tp: int | None = None
    pp: int | None = None
    dp: int | None = None
    ep: int | None = None
    cp: int | None = None
    attention_dp: int | None = None
    mode: Serving = Serving.AGGREGATED
    load: Load | None = None
    micro_batch: int | None = None
    vpp: int | None = None
    recompute: Recompute | None = None
    # Share of the layers that full recompute makes again; None is all of them.
    recompute_fraction: float | None = None
    sharding: Sharding | None = None
    # Whether every GPU holds a whole copy of sharded weights while a run loads them.
    loads_whole: bool = False
    # Whether layers train as their framework brings them, without the fused kernels of a vendor's stack.
    plain_stack: bool = False
    # Whether attention, norms and rotations in such layers are a vendor's all the same.
    vendor_kernels: bool = False
    # Whether the loss is computed on a part of the tokens after another, so that logits never lie there in FP32.
    chunked_loss: bool = False
    replicas: int | None = None
    host_cores: int | None = None
    # How many ways a single expert is split; `ep` is how many ways the experts are dealt out.
    moe_tp: int | None = None
    prefill: Pool | None = None
    decode: Pool | None = None
    engine: ServingEngine | None = None
    # "YYYY-MM": when the serving software was published; None is today's.
    software_month: str | None = None
    # Whether its passes were compiled into engines beforehand, which launch their kernels without a framework.
    compiled: bool = False
