"""What training needs to know of a neural network: parameters by part, FLOP and stored bytes per token.

Conventions: FLOP of one forward pass and one token, causal attention counted at half of the square; stored bytes in
BF16 with fused attention, which never stores the score matrix (Dao et al. 2022, arXiv 2205.14135).
"""

from dataclasses import dataclass
from functools import lru_cache

from service.sizing.architecture import Ffn, FfnKind, Mixer, MixerKind, ModelArchitecture, count
from service.sizing.training.adapters import expert_adapter_params, ffn_adapter_params, mixer_adapter_params
from service.sizing.training.composed import composed_bytes_token, norm_bytes_token
from service.sizing.training.products import LayerProducts, expert_elements_token, layer_products
from service.sizing.training.streams import stream_moved_bytes_token, stream_stored_bytes_token, streams

# Bytes of one BF16 element.
_BF16 = 2.0
# Shortest linear-attention chunk in public kernels: inside it attention is quadratic.
_CHUNK_TOKENS = 64.0
# Share of positions that masked language modelling predicts (Devlin et al. 2018, arXiv 1810.04805).
_MASKED = 0.15
# Mixers whose work grows with the number of visible tokens; the others carry a state along.
_SCORED = frozenset({MixerKind.ATTENTION, MixerKind.MLA, MixerKind.DSV4})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One model at one sequence length. Parameters and elements of a token are of all layers, widths in elements."""

    layers: float
    hidden: float
    # Of what one layer hands to the next.
    stream_elements: float
    vocab: float
    heads: float
    kv_width: float
    seq_len_tokens: float
    dense_params: float
    # Of the products that layers end with.
    last_params: float
    routed_params: float
    active_routed_params: float
    embedding_params: float
    head_params: float
    head_matmul_params: float
    largest_layer_params: float
    mixer_adapter_params_per_rank: float
    ffn_adapter_params_per_rank: float
    routed_adapter_params_per_rank: float
    attention_flop_token: float
    # The half of the square that causality leaves out.
    uncounted_attention_flop_token: float
    scan_flop_token: float
    stored_bytes_token: float
    moved_bytes_token: float
    # What several residual streams move besides, forward and backward.
    stream_bytes_token: float
    # What norms, and rotations and gates, move besides where they are composed of small kernels.
    norm_bytes_token: float
    composed_bytes_token: float
    # What experts keep of their activation, which no kernel of its own moves where one does all of them [bytes].
    activated_bytes_token: float
    # Gates and inputs of the activations of experts that add biases [bytes].
    biased_bytes_token: float
    # Rows of all scores, causal or not, which kernels apart write and read where attention is not fused [bytes].
    score_bytes_token: float
    stored_selective_bytes_token: float
    # Where stacks recompute by operation: inputs of layers, outputs of attention and of every second product.
    stored_listed_bytes_token: float
    gemm_input_bytes_token: float
    ffn_input_bytes_token: float
    unfused_bytes_token: float
    experts: float
    top_k: float
    expert_width: float
    expert_intermediate: float
    moe_layers: float
    mixer_layers: float
    dense_ffn_layers: float
    products: LayerProducts
    expert_elements_token: float
    attention_side_elements_token: float
    attention_kv_elements_token: float
    latent_fraction: float
    # Recurrent state of one sequence, and what a token brings to it and takes from it, all layers together.
    scan_state_elements: float
    scan_side_elements_token: float
    visible_tokens: float
    scored_layers: float
    scan_layers: float

    @property
    def total_params(self) -> float:
        """Every parameter, a tied head counted once."""
        return self.dense_params + self.routed_params + self.embedding_params + self.head_params

    @property
    def flop_token(self) -> float:
        """FLOP of one token's forward pass, products and mixing."""
        matmul = self.dense_params + self.active_routed_params + self.head_matmul_params
        return 2.0 * matmul + self.attention_flop_token + self.scan_flop_token

    @property
    def is_moe(self) -> bool:
        """Whether any layer routes tokens to experts."""
        return bool(self.experts > 0)


@lru_cache(maxsize=512)
def shape_of(architecture: ModelArchitecture, seq_len_tokens: float) -> Shape:
    """Counts of `architecture` at `seq_len_tokens`; widths follow Korthikanti et al. 2022 (arXiv 2205.05198)."""
    counts = count(architecture)
    hidden = float(architecture.hidden)
    stored = [_mixer_stored_bytes(m, hidden) for m in architecture.mixers]
    stored += [_ffn_stored_bytes(f, hidden) for f in architecture.ffns]
    further = stream_stored_bytes_token(architecture)
    moe = [f for f in architecture.ffns if f.kind is FfnKind.MOE]
    dense = (
        counts.mixer_params
        + counts.dense_ffn_params
        + counts.shared_expert_params
        + counts.router_params
        + counts.per_layer_params
        + counts.norm_params
    )
    layers = float(max(1, architecture.layers))
    encoder = architecture.encoder
    scored = [m for m in architecture.mixers if m.kind in _SCORED]
    scans = [m for m in architecture.mixers if m.kind not in _SCORED and m.kind is not MixerKind.NONE]
    scored_layers = sum(m.count for m in scored)
    return Shape(
        layers=layers,
        hidden=hidden,
        stream_elements=hidden * streams(architecture),
        vocab=float(architecture.vocab),
        heads=float(max((_tp_heads(m) for m in architecture.mixers), default=1)),
        kv_width=_mean([(float(m.count), _kv_width(m)) for m in architecture.mixers]),
        seq_len_tokens=float(seq_len_tokens),
        dense_params=dense,
        last_params=sum(f.count * f.intermediate * hidden for f in architecture.ffns if f.kind is FfnKind.DENSE),
        routed_params=counts.routed_expert_params,
        active_routed_params=counts.active_routed_expert_params,
        embedding_params=counts.embedding_params,
        head_params=counts.lm_head_params,
        # An encoder predicts the masked positions alone.
        head_matmul_params=float(architecture.vocab * architecture.hidden) * (_MASKED if encoder else 1.0),
        largest_layer_params=(dense + counts.routed_expert_params) / layers,
        mixer_adapter_params_per_rank=mixer_adapter_params(architecture, counts.mixer_params),
        ffn_adapter_params_per_rank=ffn_adapter_params(architecture),
        routed_adapter_params_per_rank=sum(f.count * f.experts * expert_adapter_params(f, hidden) for f in moe),
        uncounted_attention_flop_token=sum(
            m.count * _attention_flop(m, float(seq_len_tokens), causal=True)
            for m in architecture.mixers
            if m.kind in _SCORED and not encoder and not (m.window or m.chunk)
        ),
        attention_flop_token=sum(
            m.count * _attention_flop(m, float(seq_len_tokens), causal=not architecture.encoder)
            for m in architecture.mixers
            if m.kind in _SCORED
        ),
        scan_flop_token=sum(m.count * _scan_flop(m) for m in architecture.mixers if m.kind not in _SCORED),
        stored_bytes_token=sum(s[0] for s in stored) + further,
        moved_bytes_token=sum(s[0] for s in stored) + sum(_combined_bytes(f, hidden) for f in moe),
        stream_bytes_token=stream_moved_bytes_token(architecture),
        norm_bytes_token=norm_bytes_token(architecture),
        composed_bytes_token=composed_bytes_token(architecture),
        activated_bytes_token=sum(_activated_bytes(f) for f in moe),
        biased_bytes_token=sum(_biased_bytes(f) for f in moe),
        score_bytes_token=sum(m.count * m.heads for m in scored) * _BF16 * float(seq_len_tokens),
        stored_selective_bytes_token=sum(s[1] for s in stored) + further,
        stored_listed_bytes_token=_listed_bytes(architecture),
        gemm_input_bytes_token=sum(s[2] for s in stored),
        ffn_input_bytes_token=sum(_ffn_stored_bytes(f, hidden)[2] for f in architecture.ffns),
        unfused_bytes_token=sum(_unfused_bytes(f, hidden) for f in architecture.ffns),
        experts=float(max((f.experts for f in moe), default=0)),
        top_k=float(max((f.top_k for f in moe), default=0)),
        expert_width=float(max((f.latent or architecture.hidden for f in moe), default=0)),
        expert_intermediate=float(max((f.intermediate for f in moe), default=0)),
        moe_layers=float(sum(f.count for f in moe)),
        mixer_layers=float(sum(m.count for m in architecture.mixers if m.kind is not MixerKind.NONE)),
        dense_ffn_layers=float(sum(f.count for f in architecture.ffns if f.kind is FfnKind.DENSE)),
        products=layer_products(architecture),
        expert_elements_token=expert_elements_token(architecture),
        attention_side_elements_token=sum(m.count * (_qk_width(m) + _v_width(m)) for m in scored),
        attention_kv_elements_token=sum(m.count * _kv_width(m) for m in scored),
        latent_fraction=sum(m.count for m in scored if m.kind is not MixerKind.ATTENTION) / max(1, scored_layers),
        scan_state_elements=sum(m.count * _state_width(m) for m in scans),
        scan_side_elements_token=sum(m.count * 2.0 * (_key_width(m) + _inner_width(m)) for m in scans),
        visible_tokens=_mean([(float(m.count), _depth(m, float(seq_len_tokens), encoder=encoder)) for m in scored]),
        scored_layers=float(scored_layers),
        scan_layers=float(sum(m.count for m in scans)),
    )


def _depth(mixer: Mixer, seq: float, *, encoder: bool) -> float:
    """Tokens that one token attends to, which attention works through one after the other."""
    return _visible_tokens(seq, mixer.window or mixer.chunk, causal=not encoder)


def _mean(pairs: list[tuple[float, float]]) -> float:
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if total else 0.0


def _tp_heads(mixer: Mixer) -> int:
    """Heads that tensor parallelism can split."""
    return max(mixer.heads, mixer.value_heads, 1)


def _qk_width(mixer: Mixer) -> float:
    """Query width [elements] over all heads."""
    if mixer.kind is MixerKind.MLA:
        return float(mixer.heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim))
    return float(mixer.heads * mixer.head_dim)


def _v_width(mixer: Mixer) -> float:
    """Value width [elements] over all query heads: the width of the attention output."""
    return float(mixer.heads * (mixer.v_head_dim or mixer.head_dim))


def _kv_width(mixer: Mixer) -> float:
    """Keys and values of one token [elements], as ring attention passes them on."""
    if mixer.kind is MixerKind.ATTENTION:
        return float(mixer.kv_heads * (mixer.head_dim + (mixer.v_head_dim or mixer.head_dim)))
    if mixer.kind is MixerKind.MLA:
        return _qk_width(mixer) + _v_width(mixer)
    if mixer.kind is MixerKind.DSV4:
        return float(mixer.head_dim)
    return 0.0


def _state_width(mixer: Mixer) -> float:
    """Recurrent state [elements] of one layer."""
    if mixer.kind is MixerKind.MAMBA2:
        return float(mixer.heads * mixer.head_dim * mixer.state)
    if mixer.kind is MixerKind.KIMI_DELTA_ATTENTION:
        return float(mixer.heads * mixer.head_dim * mixer.head_dim)
    return float(mixer.value_heads * mixer.value_head_dim * mixer.key_head_dim)


def _inner_width(mixer: Mixer) -> float:
    """Width [elements] of the value path of a recurrent layer."""
    if mixer.kind in {MixerKind.MAMBA2, MixerKind.KIMI_DELTA_ATTENTION}:
        return float(mixer.heads * mixer.head_dim)
    return float(mixer.value_heads * mixer.value_head_dim)


def _key_width(mixer: Mixer) -> float:
    """Width [elements] of the keys of a recurrent layer."""
    if mixer.kind is MixerKind.MAMBA2:
        return float(mixer.groups * mixer.state)
    if mixer.kind is MixerKind.KIMI_DELTA_ATTENTION:
        return float(mixer.heads * mixer.head_dim)
    return float(mixer.key_heads * mixer.key_head_dim)


def _visible_tokens(seq: float, window: int | None, *, causal: bool) -> float:
    """Mean number of tokens that a token attends to: half of the square when causal, less inside a window."""
    if not causal:
        return seq
    if window is None or window >= seq:
        return seq / 2.0
    return window * (1.0 - window / (2.0 * seq))


def _attention_flop(mixer: Mixer, seq: float, *, causal: bool) -> float:
    """Forward FLOP of one token in one layer's mixing, projections excluded: 2 x visible x (query + value width)."""
    if mixer.kind is not MixerKind.DSV4:
        visible = _visible_tokens(seq, mixer.window or mixer.chunk, causal=causal)
        indexed = 0.0
        if mixer.indexer is not None:
            indexed = 2.0 * visible * mixer.indexer.heads * mixer.indexer.head_dim
            visible = min(visible, float(mixer.indexer.topk))
        return 2.0 * visible * (_qk_width(mixer) + _v_width(mixer)) + indexed
    window = _visible_tokens(seq, mixer.window, causal=causal)
    compressed = _visible_tokens(seq, None, causal=causal) / mixer.compress_ratio if mixer.compress_ratio else 0.0
    indexed = 0.0
    if mixer.indexer is not None:
        indexed = 2.0 * compressed * mixer.indexer.heads * mixer.indexer.head_dim
        compressed = min(compressed, float(mixer.indexer.topk))
    return 4.0 * (window + compressed) * _qk_width(mixer) + indexed


def _scan_flop(mixer: Mixer) -> float:
    """Forward FLOP of one token in one recurrent layer: state update and read-out, and the square inside a chunk.

    Source: Dao, Gu 2024 (arXiv 2405.21060).
    """
    if mixer.kind is MixerKind.NONE:
        return 0.0
    return 4.0 * _state_width(mixer) + 2.0 * _CHUNK_TOKENS * _inner_width(mixer)


def _mixed_widths(mixer: Mixer) -> tuple[float, float]:
    """Elements of one token that a layer's projections give its mixing, and that come out of it."""
    if mixer.kind is MixerKind.NONE:
        return 0.0, 0.0
    if mixer.kind is MixerKind.ATTENTION:
        return _qk_width(mixer) + _kv_width(mixer), _v_width(mixer)
    if mixer.kind is MixerKind.MLA:
        latent = (mixer.q_lora_rank or 0) + mixer.kv_lora_rank
        return latent + 2.0 * _qk_width(mixer) + _v_width(mixer), _v_width(mixer)
    if mixer.kind is MixerKind.DSV4:
        return (mixer.q_lora_rank or 0) + _qk_width(mixer) + 2.0 * mixer.head_dim, _qk_width(mixer)
    return 3.0 * _inner_width(mixer), _inner_width(mixer)


def _mixer_stored_bytes(mixer: Mixer, hidden: float) -> tuple[float, float, float]:
    """Bytes of one token in these layers: stored without recompute, with selective recompute, as GEMM inputs."""
    if mixer.kind is MixerKind.NONE:
        return 0.0, 0.0, 0.0
    inner, out = _mixed_widths(mixer)
    norm_in, norm_out = hidden, hidden
    # Selective recompute makes the norm again, and for MLA the up-projected queries, keys and values.
    kept_inner = (mixer.q_lora_rank or 0) + mixer.kv_lora_rank if mixer.kind is MixerKind.MLA else inner
    stored = norm_in + norm_out + inner + out
    selective = norm_in + kept_inner + out
    return _BF16 * mixer.count * stored, _BF16 * mixer.count * selective, _BF16 * mixer.count * norm_out


def _ffn_stored_bytes(ffn: Ffn, hidden: float) -> tuple[float, float, float]:
    """As `_mixer_stored_bytes`: a gated part stores two projections and their product, an ungated one in and out."""
    if ffn.kind is FfnKind.NONE:
        return 0.0, 0.0, 0.0
    projections = 2.0 if ffn.gated else 1.0
    if ffn.kind is FfnKind.DENSE:
        width, copies = float(ffn.intermediate), 0.0
    else:
        width = float(ffn.top_k * ffn.intermediate + ffn.shared_intermediate + (ffn.dense_parallel_intermediate or 0))
        # Each chosen expert gets a copy of the token; its weight multiplies inside, so that its output is not kept.
        copies = ffn.top_k * float(ffn.latent or hidden)
    stored = 2.0 * hidden + copies + (projections + 1.0) * width
    selective = hidden + copies + projections * width
    inputs = hidden + width + copies
    return _BF16 * ffn.count * stored, _BF16 * ffn.count * selective, _BF16 * ffn.count * inputs


def _listed_bytes(architecture: ModelArchitecture) -> float:
    """What stacks keep of one token [bytes] that recompute by operation (torchtitan, activation_checkpoint.py).

    The input of each layer in all its streams, what attention gives, and the output of every second matrix product.
    """
    hidden = float(architecture.hidden)
    kept = hidden * streams(architecture) * architecture.layers
    for mixer in architecture.mixers:
        inner, out = _mixed_widths(mixer)
        kept += mixer.count * (out + (inner + hidden * (inner > 0.0)) / 2.0)
    for ffn in architecture.ffns:
        kept += ffn.count * _product_outputs(ffn, hidden) / 2.0
    return _BF16 * kept


def _product_outputs(ffn: Ffn, hidden: float) -> float:
    """Elements of one token that come out of the products of a feed-forward part."""
    projections = 2.0 if ffn.gated else 1.0
    if ffn.kind is FfnKind.NONE:
        return 0.0
    if ffn.kind is FfnKind.DENSE:
        return projections * ffn.intermediate + hidden
    shared = float(ffn.shared_intermediate + (ffn.dense_parallel_intermediate or 0))
    routed = ffn.top_k * (projections * ffn.intermediate + float(ffn.latent or hidden))
    return routed + projections * shared + hidden * (shared > 0.0)


def _unfused_bytes(ffn: Ffn, hidden: float) -> float:
    """What a gated layer stores besides where norms and activations are not fused [bytes a token].

    Root-mean-square norms, two a layer, keep their input in FP32, and the product keeps the activated gate. Layers
    without a gate have norms and activations that every framework fuses.
    """
    if not ffn.gated or ffn.kind is FfnKind.NONE:
        return 0.0
    width = ffn.intermediate if ffn.kind is FfnKind.DENSE else ffn.top_k * ffn.intermediate + ffn.shared_intermediate
    return _BF16 * ffn.count * (2.0 * hidden + float(width))


def _activated_bytes(ffn: Ffn) -> float:
    """Outputs of a token's experts before and after their activation [bytes]."""
    projections = 2.0 if ffn.gated else 1.0
    return _BF16 * ffn.count * ffn.top_k * (projections + 1.0) * ffn.intermediate


def _biased_bytes(ffn: Ffn) -> float:
    """Outputs of a token's experts before their activation [bytes], where biases are added to them."""
    width = (2.0 if ffn.gated else 1.0) * ffn.intermediate
    return ffn.count * ffn.top_k * width * _BF16 if ffn.expert_bias else 0.0


def _combined_bytes(ffn: Ffn, hidden: float) -> float:
    """Outputs of a token's experts [bytes], which are moved to be combined and not kept."""
    return _BF16 * ffn.count * ffn.top_k * float(ffn.latent or hidden)
