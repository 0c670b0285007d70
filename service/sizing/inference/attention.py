"""What attention reads and computes per token of context, for every mixer kind of the zoo."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from service.sizing.architecture import Mixer, MixerKind, ModelArchitecture
from service.sizing.numeric import Numeric
from service.sizing.operation import Work
from service.sizing.table import FloatArray

# Kernels that gather entries of a latent hold the queries of so many heads, and take as long for fewer of them.
_GATHERED_HEADS = 64
# Kernels of prompts were measured with heads of 64, 128 and 256 elements: the nearest stands for the others.
_NARROW_HEAD, _WIDE_HEAD = 96, 192
_QUERY_BYTES, _SCORE_BYTES = 2.0, 4.0


class AttentionFamily(StrEnum):
    """Which kernels do the work: heads with a cache of their own, one latent for all heads, or a recurrent state.

    Of heads those of 64 elements and those of 256 have kernels of their own for prompts. Of latents some are gathered:
    an indexer picks entries of a whole cache (sparse), or of a compressed one.
    """

    SOFTMAX = "softmax"
    NARROW = "narrow"
    WIDE = "wide"
    LATENT = "latent"
    SPARSE = "sparse"
    COMPRESSED = "compressed"
    RECURRENT = "recurrent"


# One cache for all heads, however it is read.
LATENTS = frozenset({AttentionFamily.LATENT, AttentionFamily.SPARSE, AttentionFamily.COMPRESSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionGroup:
    """`layers` layers that attend alike. Element and FLOP figures are per layer.

    A new token attends to `min(context / stride, cap)` entries plus `min(context, window)` recent ones; each entry
    costs `elements` to read and `decode_flop` (or `prefill_flop`) to use; the indexer looks at every entry. A token
    brings `decode_query_elements` (or `prefill_query_elements`) along: its queries and outputs of all heads.
    """

    family: AttentionFamily
    layers: int
    cap: float
    window: float
    stride: float
    elements: float
    decode_flop: float
    prefill_flop: float
    index_elements: float
    index_flop: float
    heads: int
    kv_heads: int
    decode_query_elements: float
    prefill_query_elements: float
    state_elements: float
    state_flop: float


def _family(head_dim: int) -> AttentionFamily:
    if head_dim <= _NARROW_HEAD:
        return AttentionFamily.NARROW
    return AttentionFamily.SOFTMAX if head_dim < _WIDE_HEAD else AttentionFamily.WIDE


def _softmax_group(mixer: Mixer) -> AttentionGroup:
    width = mixer.head_dim + mixer.v_head_dim
    flop = 2.0 * mixer.heads * (mixer.head_dim + mixer.v_head_dim)
    limit = mixer.window or mixer.chunk
    return _group(
        mixer,
        cap=np.inf if limit is None else float(limit),
        elements=mixer.kv_heads * width,
        decode_flop=flop,
        prefill_flop=flop,
        family=_family(mixer.head_dim),
        kv_heads=mixer.kv_heads,
        decode_query=float(mixer.heads * width),
        prefill_query=float(mixer.heads * width),
    )


def _mla_group(mixer: Mixer) -> AttentionGroup:
    latent = mixer.kv_lora_rank + mixer.qk_rope_head_dim
    return _group(
        mixer,
        cap=np.inf if mixer.window is None else float(mixer.window),
        elements=float(latent),
        # Decode multiplies in the latent space (absorbed weights), prefill in the expanded heads.
        decode_flop=2.0 * mixer.heads * (latent + mixer.kv_lora_rank),
        prefill_flop=2.0 * mixer.heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim + mixer.v_head_dim),
        kv_heads=1,
        decode_query=float(mixer.heads * (latent + mixer.kv_lora_rank)),
        prefill_query=2.0 * mixer.heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim + mixer.v_head_dim),
        family=AttentionFamily.SPARSE if mixer.indexer else AttentionFamily.LATENT,
    )


def _dsv4_group(mixer: Mixer) -> AttentionGroup:
    flop = 4.0 * mixer.heads * mixer.head_dim
    return _group(
        mixer,
        cap=np.inf if mixer.compress_ratio else 0.0,
        window=float(mixer.window or 0),
        stride=float(mixer.compress_ratio or 1),
        elements=float(mixer.head_dim),
        decode_flop=flop,
        prefill_flop=flop,
        kv_heads=1,
        decode_query=2.0 * mixer.heads * mixer.head_dim,
        prefill_query=2.0 * mixer.heads * mixer.head_dim,
        family=AttentionFamily.COMPRESSED,
    )


def _recurrent_group(mixer: Mixer) -> AttentionGroup:
    if mixer.kind is MixerKind.MAMBA2:
        state = float(mixer.heads * mixer.head_dim * mixer.state)
        moved = 2.0 * (mixer.heads * mixer.head_dim + mixer.groups * mixer.state)
    elif mixer.kind is MixerKind.GATED_DELTANET:
        state = float(mixer.value_heads * mixer.key_head_dim * mixer.value_head_dim)
        moved = 2.0 * (mixer.key_heads * mixer.key_head_dim + mixer.value_heads * mixer.value_head_dim)
    else:
        state = float(mixer.heads * mixer.head_dim * mixer.head_dim)
        moved = 4.0 * mixer.heads * mixer.head_dim
    # Decay, outer-product update and read-out of the state: three multiply-adds per element and token.
    return _group(
        mixer,
        cap=0.0,
        elements=0.0,
        decode_flop=0.0,
        prefill_flop=0.0,
        kv_heads=1,
        decode_query=moved,
        prefill_query=moved,
        family=AttentionFamily.RECURRENT,
        state=state,
        state_flop=6.0 * state,
    )


def _group(
    mixer: Mixer,
    *,
    cap: float,
    elements: float,
    decode_flop: float,
    prefill_flop: float,
    kv_heads: int,
    decode_query: float,
    prefill_query: float,
    family: AttentionFamily = AttentionFamily.SOFTMAX,
    window: float = 0.0,
    stride: float = 1.0,
    state: float = 0.0,
    state_flop: float = 0.0,
) -> AttentionGroup:
    indexer = mixer.indexer
    return AttentionGroup(
        family=family,
        layers=mixer.count,
        cap=min(cap, float(indexer.topk)) if indexer else cap,
        window=window,
        stride=stride,
        elements=float(elements),
        decode_flop=decode_flop,
        prefill_flop=prefill_flop,
        index_elements=float(indexer.head_dim) if indexer else 0.0,
        index_flop=2.0 * indexer.heads * indexer.head_dim if indexer else 0.0,
        heads=max(1, mixer.heads),
        kv_heads=max(1, kv_heads),
        decode_query_elements=decode_query,
        prefill_query_elements=prefill_query,
        state_elements=state,
        state_flop=state_flop,
    )


_BUILDERS = {
    MixerKind.ATTENTION: _softmax_group,
    MixerKind.MLA: _mla_group,
    MixerKind.DSV4: _dsv4_group,
    MixerKind.GATED_DELTANET: _recurrent_group,
    MixerKind.KIMI_DELTA_ATTENTION: _recurrent_group,
    MixerKind.MAMBA2: _recurrent_group,
}


def attention_groups(architecture: ModelArchitecture) -> tuple[AttentionGroup, ...]:
    """One group per mixer entry of the architecture; layers without a mixer are left out."""
    return tuple(_BUILDERS[m.kind](m) for m in architecture.mixers if m.kind is not MixerKind.NONE)


def attended_tokens(group: AttentionGroup, context_tokens: Numeric) -> FloatArray:
    """Cache entries that one new token attends to at a context of `context_tokens`."""
    return np.asarray(
        np.minimum(context_tokens / group.stride, group.cap) + np.minimum(context_tokens, group.window),
        dtype=np.float64,
    )


def gathered_work(group: AttentionGroup, *, context_tokens: Numeric, tp: Numeric) -> Work:
    """What a token of a prompt has to do on one GPU where entries of a latent are gathered, at this mean context.

    The indexer is whole on every GPU, scores all entries and writes the scores down; heads work in the latent space.
    """
    share = np.maximum(_GATHERED_HEADS, group.heads / np.asarray(tp)) / group.heads
    entries, scored = attended_tokens(group, context_tokens), np.asarray(context_tokens) / group.stride
    return Work(
        flop=share * group.decode_flop * entries + group.index_flop * scored,
        main_bytes=(_SCORE_BYTES if group.index_flop else 0.0) * scored,
        side_bytes=_QUERY_BYTES * share * group.decode_query_elements,
    )


def decode_read_elements(groups: tuple[AttentionGroup, ...], *, context_tokens: Numeric, tp: Numeric) -> FloatArray:
    """KV-cache and state elements [per sequence and GPU] read for one new token; heads split over <= kv_heads GPUs."""
    total = np.zeros(np.broadcast(context_tokens, tp).shape)
    for g in groups:
        read = g.elements * attended_tokens(g, context_tokens) + g.index_elements * context_tokens / g.stride
        total = total + g.layers * (read / np.minimum(tp, g.kv_heads) + 2.0 * g.state_elements / tp)
    return total


def decode_attention_flop(groups: tuple[AttentionGroup, ...], *, context_tokens: Numeric) -> FloatArray:
    """FLOP of attention for one new token of one sequence, all layers, before any split over GPUs."""
    total = np.zeros(np.shape(context_tokens))
    for g in groups:
        entries = attended_tokens(g, context_tokens)
        index = g.index_flop * context_tokens / g.stride
        total = total + g.layers * (g.decode_flop * entries + index + g.state_flop)
    return total
