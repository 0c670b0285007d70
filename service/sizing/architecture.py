"""ModelArchitecture: layers, heads and experts of a neural network, and what can be counted from them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from service.sizing.precision import Precision


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
    """A sparse-attention indexer: it scores every cached token and keeps `topk` of them, in blocks of `block`."""

    heads: int
    head_dim: int
    topk: int
    # Layers that compute an index; None = every layer of the mixer.
    layers: int | None = None
    block: int = 1


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
    # Narrow formats in which checkpoints of the whole model are published; none for one that a caller brought.
    published_precisions: tuple[Precision, ...] = ()
    # What the 4-bit checkpoint leaves of it: the format of the projections around attention, where it says so, and
    # whether 4-bit weights are unpacked to multiply 16-bit activations.
    four_bit_mixers: Precision | None = None
    four_bit_unpacked: bool = False
    # When it was published, YYYY-MM or YYYY; None for one that a caller brought.
    released: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowedKv:
    """A cache that keeps at most `window` tokens per sequence."""

    window: int
    elements_per_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureCounts:
    """What the arithmetic on an architecture gives; plain counts, not billions and not bytes.

    The parts mixer + dense_ffn + shared_expert + routed_expert + router + per_layer + embedding + lm_head + norm
    add up to `total_params`.
    """

    total_params: float
    # Read for one token: all but the experts it is not routed to, and but the per-layer embedding table.
    active_params: float
    # Multiplied for one token; twice this is the FLOP of one forward token without attention scores.
    # No lookups, no norms.
    matmul_params: float
    mixer_params: float
    dense_ffn_params: float
    shared_expert_params: float
    routed_expert_params: float
    active_routed_expert_params: float
    # Every lookup table: input embedding, learned positions, per-layer embeddings.
    embedding_params: float
    # Zero when it is the input embedding (tied); the multiplication still happens and is in matmul_params.
    lm_head_params: float
    # Unbounded cache; an MLA latent counts once and does not divide by TP. Index caches are in here.
    kv_elements_per_token: float
    kv_windowed: tuple[WindowedKv, ...]
    # Recurrent state, FP32 in every public engine seen.
    state_elements_per_sequence: float
    conv_state_elements_per_sequence: float
    max_kv_heads: int
    is_moe: bool
    # Routers and the projections to and from a latent expert width.
    router_params: float = 0.0
    # Projections that bring per-layer embeddings into each layer.
    per_layer_params: float = 0.0
    norm_params: float = 0.0


@lru_cache(maxsize=2048)
def count(architecture: ModelArchitecture) -> ArchitectureCounts:
    """Parameters per part, KV-cache elements per token and recurrent state per sequence.

    Checked against all models of the zoo: the derived counts of their sources are met within 0.01 %, their rounding.
    """
    hidden = architecture.hidden
    mixer = sum(mixer_params(part, hidden) for part in architecture.mixers)
    dense = sum(_dense_params(ffn, hidden) for ffn in architecture.ffns)
    shared = sum(_shared_expert_params(ffn, hidden) for ffn in architecture.ffns)
    routed = sum(ffn.count * ffn.experts * expert_params(ffn, hidden) for ffn in architecture.ffns)
    active_routed = sum(ffn.count * ffn.top_k * expert_params(ffn, hidden) for ffn in architecture.ffns)
    router = sum(_router_params(ffn, hidden) for ffn in architecture.ffns)
    embedding = architecture.vocab * hidden
    positions = architecture.learned_positions * hidden
    lm_head = 0 if architecture.tie_embeddings else embedding
    table = architecture.vocab * architecture.layers * architecture.per_layer_embedding_dim
    # One projection of the embedding to all layers, then a gate and an output projection in each.
    per_layer = 3 * hidden * architecture.per_layer_embedding_dim * architecture.layers
    norm = _norm_params(architecture)
    everywhere = mixer + dense + shared + router + per_layer
    return ArchitectureCounts(
        total_params=float(everywhere + routed + embedding + lm_head + positions + table + norm),
        active_params=float(everywhere + active_routed + embedding + lm_head + positions + norm),
        matmul_params=float(everywhere + active_routed + embedding),
        mixer_params=float(mixer),
        dense_ffn_params=float(dense),
        shared_expert_params=float(shared),
        routed_expert_params=float(routed),
        active_routed_expert_params=float(active_routed),
        embedding_params=float(embedding + positions + table),
        lm_head_params=float(lm_head),
        kv_elements_per_token=sum(kv_elements(part) for part in architecture.mixers),
        kv_windowed=_windowed(architecture.mixers),
        state_elements_per_sequence=float(sum(part.count * _state_elements(part) for part in architecture.mixers)),
        conv_state_elements_per_sequence=float(
            sum(part.count * max(part.conv_kernel - 1, 0) * _conv_channels(part) for part in architecture.mixers)
        ),
        max_kv_heads=max((kv_head_count(part) for part in architecture.mixers), default=1),
        is_moe=routed > 0,
        router_params=float(router),
        per_layer_params=float(per_layer),
        norm_params=float(norm),
    )


def mixer_params(mixer: Mixer, hidden: int) -> int:
    """Parameters of all `count` layers of one mixer, without their norms."""
    return mixer.count * _MIXER_PARAMS[mixer.kind](mixer, hidden) + _indexer_params(mixer, hidden)


def expert_params(ffn: Ffn, hidden: int) -> int:
    """Parameters of one routed expert of one layer; zero for a dense layer."""
    if ffn.kind is not FfnKind.MOE:
        return 0
    matrices = 3 if ffn.gated else 2
    bias = (matrices - 1) * ffn.intermediate + hidden if ffn.expert_bias else 0
    return matrices * (ffn.latent or hidden) * ffn.intermediate + bias


def kv_elements(mixer: Mixer) -> float:
    """Elements that the unbounded cache of all `count` layers keeps per token; zero for a window or a recurrence."""
    if mixer.kind is MixerKind.DSV4:
        # One 512-wide K=V head per `compress_ratio` tokens, and the indexer's keys at the same rate.
        index = mixer.indexer.head_dim if mixer.indexer else 0
        return mixer.count * (mixer.head_dim + index) / mixer.compress_ratio if mixer.compress_ratio else 0.0
    index = _indexer_layers(mixer) * mixer.indexer.head_dim if mixer.indexer else 0
    if kv_window(mixer) is not None:
        return float(index)
    return float(mixer.count * kv_layer_elements(mixer) + index)


def kv_layer_elements(mixer: Mixer) -> int:
    """Elements that one layer caches for one token that it keeps; K = V heads are still cached twice."""
    if mixer.kind is MixerKind.MLA:
        return mixer.kv_lora_rank + mixer.qk_rope_head_dim
    if mixer.kind is MixerKind.DSV4:
        return mixer.head_dim
    if mixer.kind is MixerKind.ATTENTION and not mixer.kv_shared:
        return mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim)
    return 0


def kv_window(mixer: Mixer) -> int | None:
    """Most tokens per sequence that the windowed cache of this mixer keeps; None when it has none."""
    return mixer.window if mixer.window is not None else mixer.chunk


def kv_head_count(mixer: Mixer) -> int:
    """Heads over which the cache divides under tensor parallelism; a latent cache is one head."""
    return mixer.kv_heads if mixer.kind is MixerKind.ATTENTION else 1


def _attention_params(mixer: Mixer, hidden: int) -> int:
    query = hidden * mixer.heads * mixer.head_dim
    output = mixer.heads * mixer.v_head_dim * hidden
    key = 0 if mixer.kv_shared else hidden * mixer.kv_heads * mixer.head_dim
    value = 0 if mixer.kv_shared or mixer.k_eq_v else hidden * mixer.kv_heads * mixer.v_head_dim
    gate = query if mixer.output_gate else 0
    head_gate = hidden * mixer.heads if mixer.head_gate else 0
    qkv_bias = mixer.heads * mixer.head_dim + mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim)
    bias = (qkv_bias if mixer.qkv_bias else 0) + (hidden if mixer.o_bias else 0)
    return query + key + value + output + gate + head_gate + bias


def _mla_params(mixer: Mixer, hidden: int) -> int:
    query_width = mixer.heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim)
    rank = mixer.q_lora_rank
    query = hidden * query_width if rank is None else rank * (hidden + query_width)
    latent = hidden * (mixer.kv_lora_rank + mixer.qk_rope_head_dim)
    unfold = mixer.kv_lora_rank * mixer.heads * (mixer.qk_nope_head_dim + mixer.v_head_dim)
    output = mixer.heads * mixer.v_head_dim * hidden
    return query + latent + unfold + output * (2 if mixer.output_gate else 1)


def _dsv4_params(mixer: Mixer, hidden: int) -> int:
    width = mixer.heads * mixer.head_dim
    rank = mixer.q_lora_rank or 0
    query = rank * (hidden + width)
    output = width * mixer.o_lora_rank + mixer.o_groups * mixer.o_lora_rank * hidden
    # A compressor is a value and a gate projection, `coff` wide; the indexer has one of its own.
    compressed = mixer.head_dim + (mixer.indexer.head_dim if mixer.indexer else 0)
    compressor = 2 * hidden * mixer.compressor_coff * compressed if mixer.compress_ratio else 0
    return query + hidden * mixer.head_dim + output + compressor


def _gated_deltanet_params(mixer: Mixer, hidden: int) -> int:
    values = mixer.value_heads * mixer.value_head_dim
    channels = _conv_channels(mixer)
    # Queries, keys and values; output gate and output; decay and beta per value head; the short convolution.
    return hidden * (channels + 2 * values + 2 * mixer.value_heads) + mixer.conv_kernel * channels


def _kimi_delta_params(mixer: Mixer, hidden: int) -> int:
    width = mixer.heads * mixer.head_dim
    low_rank = mixer.head_dim * (hidden + width)
    gate = hidden * width if mixer.full_rank_gate else low_rank
    # Queries, keys, values and output; beta per head; a low-rank decay; the gate; the short convolution.
    return hidden * (4 * width + mixer.heads) + low_rank + gate + mixer.conv_kernel * _conv_channels(mixer)


def _mamba2_params(mixer: Mixer, hidden: int) -> int:
    inner = mixer.heads * mixer.head_dim
    channels = _conv_channels(mixer)
    # Gate and the convolved channels and the step per head go in; `inner` comes out.
    return hidden * (inner + channels + mixer.heads + inner) + mixer.conv_kernel * channels


_MIXER_PARAMS: dict[MixerKind, Callable[[Mixer, int], int]] = {
    MixerKind.ATTENTION: _attention_params,
    MixerKind.MLA: _mla_params,
    MixerKind.DSV4: _dsv4_params,
    MixerKind.GATED_DELTANET: _gated_deltanet_params,
    MixerKind.KIMI_DELTA_ATTENTION: _kimi_delta_params,
    MixerKind.MAMBA2: _mamba2_params,
    MixerKind.NONE: lambda _mixer, _hidden: 0,
}


def _indexer_layers(mixer: Mixer) -> int:
    """Layers that compute an index; others reuse it."""
    if mixer.indexer is None:
        return 0
    return mixer.count if mixer.indexer.layers is None else mixer.indexer.layers


def _indexer_params(mixer: Mixer, hidden: int) -> int:
    if mixer.indexer is None:
        return 0
    queries = mixer.indexer.heads * mixer.indexer.head_dim
    key, weights = hidden * mixer.indexer.head_dim, hidden * mixer.indexer.heads
    layer = {
        # Queries come from the compressed query where there is one; a score weight per head.
        MixerKind.MLA: (mixer.q_lora_rank or hidden) * queries + key + weights,
        # The keys come from the indexer's compressor, which _dsv4_params counts.
        MixerKind.DSV4: (mixer.q_lora_rank or hidden) * queries + weights,
    }.get(mixer.kind, hidden * queries + key)
    return _indexer_layers(mixer) * layer


def _conv_channels(mixer: Mixer) -> int:
    """Channels of the short convolution in front of a recurrent mixer."""
    if mixer.kind is MixerKind.GATED_DELTANET:
        return 2 * mixer.key_heads * mixer.key_head_dim + mixer.value_heads * mixer.value_head_dim
    if mixer.kind is MixerKind.KIMI_DELTA_ATTENTION:
        return 3 * mixer.heads * mixer.head_dim
    if mixer.kind is MixerKind.MAMBA2:
        return mixer.heads * mixer.head_dim + 2 * mixer.groups * mixer.state
    return 0


def _state_elements(mixer: Mixer) -> int:
    """Recurrent state of one layer and one sequence."""
    if mixer.kind is MixerKind.GATED_DELTANET:
        return mixer.value_heads * mixer.key_head_dim * mixer.value_head_dim
    if mixer.kind is MixerKind.KIMI_DELTA_ATTENTION:
        return mixer.heads * mixer.head_dim * mixer.head_dim
    if mixer.kind is MixerKind.MAMBA2:
        return mixer.heads * mixer.head_dim * mixer.state
    return 0


def _windowed(mixers: tuple[Mixer, ...]) -> tuple[WindowedKv, ...]:
    """Windowed caches, the layers of one window size together."""
    elements: dict[int, int] = {}
    for mixer in mixers:
        window = kv_window(mixer)
        layer = kv_layer_elements(mixer)
        if window is not None and layer:
            elements[window] = elements.get(window, 0) + mixer.count * layer
    return tuple(WindowedKv(window=window, elements_per_token=float(elements[window])) for window in sorted(elements))


def _dense_params(ffn: Ffn, hidden: int) -> int:
    if ffn.kind is not FfnKind.DENSE:
        return 0
    return ffn.count * ((3 if ffn.gated else 2) * hidden * ffn.intermediate + ffn.bias_params)


def _shared_expert_params(ffn: Ffn, hidden: int) -> int:
    """Experts that every token takes, and a dense FFN in parallel with the experts."""
    if ffn.kind is not FfnKind.MOE:
        return 0
    width = ffn.shared_intermediate + (ffn.dense_parallel_intermediate or 0)
    return ffn.count * (3 if ffn.gated else 2) * hidden * width


def _router_params(ffn: Ffn, hidden: int) -> int:
    if ffn.kind is not FfnKind.MOE:
        return 0
    return ffn.count * hidden * (ffn.experts + 2 * (ffn.latent or 0))


def _norm_params(architecture: ModelArchitecture) -> int:
    """One norm in front of every mixer and every FFN, one at the end; a model may have a few more, which is noise."""
    mixers = sum(part.count for part in architecture.mixers if part.kind is not MixerKind.NONE)
    ffns = sum(part.count for part in architecture.ffns if part.kind is not FfnKind.NONE)
    return (mixers + ffns + 1) * architecture.hidden
