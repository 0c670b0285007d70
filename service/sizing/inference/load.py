"""ModelLoad: the numbers of one model in given precisions that memory and time of inference are made of."""

from dataclasses import dataclass

from service.sizing.architecture import ArchitectureCounts, FfnKind, ModelArchitecture, count
from service.sizing.inference.attention import AttentionGroup, attention_groups
from service.sizing.precision import BYTES_ELEMENT, Precision
from service.sizing.units import BILLION

# Recurrent state is FP32 in every public engine that was read (the zoo's header says so).
STATE_BYTES = 4.0
ACTIVATION_BYTES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoad:
    """Parameters by how they are split and read; bytes per element of weights and KV cache.

    `trunk` = mixers, dense and shared FFNs, routers, norms (split over tp), `experts` = routed experts (split over
    tp x attention_dp), `head` = output projection (zero when tied), `embedding` = input table; both stay in 16 bit.
    `head_matmul` = what the output projection multiplies, tied or not.
    """

    architecture: ModelArchitecture
    counts: ArchitectureCounts
    groups: tuple[AttentionGroup, ...]
    weight_precision: Precision
    kv_precision: Precision
    trunk_params: float
    expert_params: float
    active_expert_params: float
    head_params: float
    head_matmul: float
    embedding_params: float
    weight_bytes: float
    kv_bytes: float
    widest_ffn: float
    expert_fraction: float
    top_k: float

    @property
    def is_moe(self) -> bool:
        """Whether tokens are routed to experts."""
        return self.expert_params > 0.0

    @property
    def label(self) -> str:
        """The regime for coefficients and residuals."""
        return "moe" if self.is_moe else "dense"

    @property
    def checkpoint_bytes(self) -> float:
        """The model as it lies in storage [bytes]; how it is served does not change that."""
        layers = (self.trunk_params + self.expert_params) * self.weight_bytes
        return layers + ACTIVATION_BYTES * (self.head_params + self.embedding_params)

    @property
    def params_b(self) -> float:
        """Total parameters [billions]."""
        return self.counts.total_params / BILLION


def model_load(architecture: ModelArchitecture, *, weight: Precision, kv: Precision) -> ModelLoad:
    """The load of an architecture with its weights and KV cache in these precisions."""
    counts = count(architecture)
    moe = [f for f in architecture.ffns if f.kind is FfnKind.MOE]
    widths = [f.intermediate + f.shared_intermediate for f in architecture.ffns if f.kind is not FfnKind.NONE]
    routed = counts.routed_expert_params
    return ModelLoad(
        architecture=architecture,
        counts=counts,
        groups=attention_groups(architecture),
        weight_precision=weight,
        kv_precision=kv,
        trunk_params=counts.mixer_params
        + counts.dense_ffn_params
        + counts.shared_expert_params
        + counts.router_params
        + counts.per_layer_params
        + counts.norm_params,
        expert_params=routed,
        active_expert_params=counts.active_routed_expert_params,
        head_params=counts.lm_head_params,
        head_matmul=float(architecture.vocab * architecture.hidden),
        embedding_params=counts.embedding_params,
        weight_bytes=BYTES_ELEMENT[weight],
        kv_bytes=BYTES_ELEMENT[kv],
        widest_ffn=float(max(widths, default=architecture.hidden)),
        expert_fraction=counts.active_routed_expert_params / routed if routed else 0.0,
        top_k=float(max((f.top_k for f in moe), default=0)),
    )
