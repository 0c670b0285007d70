"""ModelArchitecture: layers, heads and experts of a neural network, and what can be counted from them."""

from dataclasses import dataclass
from enum import StrEnum


class MixerKind(StrEnum):
    """How a layer mixes tokens."""

    ATTENTION = "attention"
    MLA = "mla"
    DSV4 = "dsv4"
    GATED_DELTANET = "gated_deltanet"
    KIMI_DELTA_ATTENTION = "kimi_delta_attention"
    MAMBA2 = "mamba2"
    NONE = "none"


class FfnKind(StrEnum):
    """What follows the mixer in a layer."""

    DENSE = "dense"
    MOE = "moe"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexer:
    """A sparse-attention indexer: it scores every cached token and keeps `topk` of them."""

    heads: int
    head_dim: int
    topk: int
    layers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer:
    """`count` layers with the same token mixer; fields that a kind does not use are None or zero."""

    kind: MixerKind
    count: int
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    v_head_dim: int = 0
    window: int | None = None
    chunk: int | None = None
    qkv_bias: bool = False
    o_bias: bool = False
    output_gate: bool = False
    head_gate: bool = False
    k_eq_v: bool = False
    kv_shared: bool = False
    indexer: Indexer | None = None
    # MLA and DeepSeek-V4
    q_lora_rank: int | None = None
    kv_lora_rank: int = 0
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    o_lora_rank: int = 0
    o_groups: int = 0
    compress_ratio: int = 0
    compressor_coff: int = 0
    # linear attention and state space
    key_heads: int = 0
    value_heads: int = 0
    key_head_dim: int = 0
    value_head_dim: int = 0
    conv_kernel: int = 0
    full_rank_gate: bool = False
    state: int = 0
    groups: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ffn:
    """`count` layers with the same feed-forward part."""

    kind: FfnKind
    count: int
    intermediate: int = 0
    gated: bool = True
    bias_params: int = 0
    experts: int = 0
    top_k: int = 0
    shared_intermediate: int = 0
    latent: int | None = None
    dense_parallel_intermediate: int | None = None
    expert_bias: bool = False
    hash_routed_layers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArchitecture:
    """A neural network of the zoo, or one that a caller brought along."""

    id: str
    layers: int
    hidden: int
    vocab: int
    mixers: tuple[Mixer, ...]
    ffns: tuple[Ffn, ...]
    max_context_tokens: int | None
    tie_embeddings: bool = False
    learned_positions: int = 0
    per_layer_embedding_dim: int = 0
    mtp_layers: int = 0
    encoder: bool = False
    expert_native_precision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowedKv:
    """A cache that keeps at most `window` tokens per sequence."""

    window: int
    elements_per_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureCounts:
    """What the arithmetic on an architecture gives; plain counts, not billions and not bytes."""

    total_params: float
    active_params: float
    matmul_params: float
    mixer_params: float
    dense_ffn_params: float
    shared_expert_params: float
    routed_expert_params: float
    active_routed_expert_params: float
    embedding_params: float
    lm_head_params: float
    kv_elements_per_token: float
    kv_windowed: tuple[WindowedKv, ...]
    state_elements_per_sequence: float
    conv_state_elements_per_sequence: float
    max_kv_heads: int
    is_moe: bool


def count(architecture: ModelArchitecture) -> ArchitectureCounts:
    """Parameters per part, KV-cache elements per token and recurrent state per sequence."""
    raise NotImplementedError
