"""ModelLoad: the numbers of one model in given precisions that memory and time of inference are made of."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.architecture import ArchitectureCounts, FfnKind, MixerKind, ModelArchitecture, count, expert_params
from service.sizing.inference.attention import AttentionGroup, attention_groups
from service.sizing.inference.products import Product, products_of
from service.sizing.numeric import Numeric
from service.sizing.precision import BYTES_ELEMENT, Precision
from service.sizing.table import FloatArray
from service.sizing.units import BILLION

# Recurrent state is FP32 in every public engine that was read (the zoo's header says so).
STATE_BYTES = 4.0
ACTIVATION_BYTES = 2.0
# MXFP4 carries one 8-bit scale for 32 values, where NVFP4 has one for 16: 4.25 bits an element.
_MXFP4_BYTES = 0.53125


def touched_fraction(draws: Numeric) -> FloatArray:
    """Share of experts that some token chose, at so many draws per expert in the mean.

    Experts are not equally liked: with popularities that scatter like a gamma distribution of shape k none of n draws
    falls on an expert with probability (1 + n / k)^-k, the mean of exp(-n p). Requests that are served together are
    alike and crowd on fewer experts (k = 1/2) than the power law does under which kernels were measured (k = 1).
    """
    return np.asarray(1.0 - 1.0 / np.sqrt(1.0 + 2.0 * np.asarray(draws)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertKind:
    """`layers` layers of `experts` routed experts with `params` parameters each, `top_k` of them per token."""

    layers: int
    experts: float
    top_k: float
    params: float
    hidden: float
    intermediate: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelLoad:
    """Parameters by how they are split and read; bytes per element of weights and KV cache.

    `trunk` = mixers, dense and shared FFNs, routers, norms (split over tp), `experts` = routed experts (split over
    tp x attention_dp), `head` = output projection (zero when tied), `embedding` = input table; both stay in 16 bit,
    as do mixers where checkpoints of this kind leave them so. `head_matmul` = what the output projection multiplies,
    tied or not.
    """

    architecture: ModelArchitecture
    counts: ArchitectureCounts
    groups: tuple[AttentionGroup, ...]
    products: tuple[Product, ...]
    experts: tuple[ExpertKind, ...]
    weight_precision: Precision
    mixer_precision: Precision
    # What the GPU multiplies experts and FFNs as.
    multiplied_precision: Precision
    kv_precision: Precision
    trunk_params: float
    trunk_bytes: float
    expert_params: float
    active_expert_params: float
    head_params: float
    head_matmul: float
    embedding_params: float
    weight_bytes: float
    mixer_bytes: float
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
        layers = self.trunk_bytes + self.expert_params * self.weight_bytes
        return layers + ACTIVATION_BYTES * (self.head_params + self.embedding_params)

    @property
    def params_b(self) -> float:
        """Total parameters [billions]."""
        return self.counts.total_params / BILLION


@lru_cache(maxsize=512)
def model_load(architecture: ModelArchitecture, *, weight: Precision, kv: Precision) -> ModelLoad:
    """The load of an architecture with its weights and KV cache in these precisions."""
    counts = count(architecture)
    moe = [f for f in architecture.ffns if f.kind is FfnKind.MOE]
    widths = [f.intermediate + f.shared_intermediate for f in architecture.ffns if f.kind is not FfnKind.NONE]
    routed = counts.routed_expert_params
    mixer = mixer_precision(architecture, weight)
    weight_bytes = _MXFP4_BYTES if as_released_in_mxfp4(architecture, weight) else BYTES_ELEMENT[weight]
    ffns = counts.dense_ffn_params + counts.shared_expert_params
    rest = counts.router_params + counts.per_layer_params + counts.norm_params
    return ModelLoad(
        architecture=architecture,
        counts=counts,
        groups=attention_groups(architecture),
        products=products_of(architecture),
        experts=tuple(
            ExpertKind(
                layers=ffn.count,
                experts=float(ffn.experts),
                top_k=float(ffn.top_k),
                params=float(expert_params(ffn, architecture.hidden)),
                hidden=float(ffn.latent or architecture.hidden),
                intermediate=float(ffn.intermediate),
            )
            for ffn in moe
        ),
        weight_precision=weight,
        mixer_precision=mixer,
        multiplied_precision=_multiplied(architecture, weight),
        kv_precision=kv,
        trunk_params=counts.mixer_params + ffns + rest,
        trunk_bytes=counts.mixer_params * BYTES_ELEMENT[mixer] + ffns * weight_bytes + rest * ACTIVATION_BYTES,
        expert_params=routed,
        active_expert_params=counts.active_routed_expert_params,
        head_params=counts.lm_head_params,
        head_matmul=float(architecture.vocab * architecture.hidden),
        embedding_params=counts.embedding_params,
        weight_bytes=weight_bytes,
        mixer_bytes=BYTES_ELEMENT[mixer],
        kv_bytes=BYTES_ELEMENT[kv],
        widest_ffn=float(max(widths, default=architecture.hidden)),
        expert_fraction=counts.active_routed_expert_params / routed if routed else 0.0,
        top_k=float(max((f.top_k for f in moe), default=0)),
    )


def as_released_in_mxfp4(architecture: ModelArchitecture, weight: Precision) -> bool:
    """Whether weights that are served in 4 bit are the MXFP4 in which the experts were released."""
    return weight is Precision.FP4 and architecture.expert_native_precision == "mxfp4"


def _multiplied(architecture: ModelArchitecture, weight: Precision) -> Precision:
    """Weights in FP4 beside 16-bit activations are unpacked as INT4 ones are."""
    return Precision.INT4 if weight is Precision.FP4 and architecture.four_bit_unpacked else weight


def mixer_precision(architecture: ModelArchitecture, weight: Precision) -> Precision:
    """The format of the projections around attention when weights are served in this one.

    Published 4-bit checkpoints of mixture-of-experts models narrow the experts: gpt-oss, the MLA models and INT4 ones
    keep 16-bit projections, DeepSeek-V4 keeps FP8 (the zoo's `checkpoints` and `expert_native_precision`). What the
    checkpoint of a model says of them goes first.
    """
    if weight is Precision.FP4 and architecture.four_bit_mixers is not None:
        return architecture.four_bit_mixers
    if weight not in (Precision.FP4, Precision.INT4) or not any(f.kind is FfnKind.MOE for f in architecture.ffns):
        return weight
    if architecture.expert_native_precision == "fp4":
        return Precision.FP8
    latent = any(m.kind is MixerKind.MLA for m in architecture.mixers)
    if latent or weight is Precision.INT4 or architecture.expert_native_precision == "mxfp4":
        return Precision.BF16
    return weight
