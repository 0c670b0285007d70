"""config.json of models whose every layer is attention: dense ones and mixtures of experts."""

from collections.abc import Callable
from typing import Any

from service.schemas.hf_fields import FULL, SLIDING, HfConfig, attention, dense, grouped, layer_types, moe, whole


def _same(config: HfConfig, mixer: dict[str, Any], ffn: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """An architecture of equal layers."""
    layers = config.layers
    return {**extra, "mixers": [{**mixer, "count": layers}], "ffns": [{**ffn, "count": layers}]}


def _llama(config: HfConfig) -> dict[str, Any]:
    bias = config.flag("attention_bias", default=False)
    ffn = dense(config, biases=config.flag("mlp_bias", default=False))
    return _same(config, attention(config, qkv_bias=bias, o_bias=bias), ffn, **whole(config, tie=False))


def _mistral(config: HfConfig) -> dict[str, Any]:
    window = config.optional("sliding_window")
    return _same(config, attention(config, window=window), dense(config), **whole(config, tie=False))


def _mixtral(config: HfConfig) -> dict[str, Any]:
    ffn = moe(config, width=config.count("intermediate_size"))
    mixer = attention(config, window=config.optional("sliding_window"))
    return _same(config, mixer, ffn, **whole(config, tie=False))


def _phi3(config: HfConfig) -> dict[str, Any]:
    window = config.optional("sliding_window")
    context = config.optional("max_position_embeddings")
    # A window as long as the context is no window.
    window = None if window is not None and context is not None and window >= context else window
    return _same(config, attention(config, window=window), dense(config), **whole(config, tie=False))


def _phi(config: HfConfig) -> dict[str, Any]:
    ffn = dense(config, gated=False, biases=True)
    return _same(config, attention(config, qkv_bias=True, o_bias=True), ffn, **whole(config, tie=False))


def _qwen(config: HfConfig, *, qkv_bias: bool) -> dict[str, Any]:
    """Qwen 2, 2.5 and 3; from `max_window_layers` on layers may slide."""
    window = config.optional("sliding_window") if config.flag("use_sliding_window", default=False) else None
    first = config.count("max_window_layers", default=config.layers)
    kinds = layer_types(config, lambda layer: SLIDING if window is not None and layer >= first else FULL)
    mixers = [attention(config, qkv_bias=qkv_bias, window=window if kind == SLIDING else None) for kind in kinds]
    return {**whole(config, tie=False), "mixers": grouped(mixers), "ffns": grouped(_qwen_ffns(config))}


def _qwen_ffns(config: HfConfig) -> list[dict[str, Any]]:
    if not config.has("moe_intermediate_size"):
        return [dense(config)] * config.layers
    experts = moe(
        config,
        width=config.count("moe_intermediate_size"),
        shared=config.count("shared_expert_intermediate_size", default=0),
    )
    step = max(1, config.count("decoder_sparse_step", default=1))
    dense_layers = config.numbers("mlp_only_layers") or set()
    return [
        experts if layer not in dense_layers and (layer + 1) % step == 0 else dense(config)
        for layer in range(config.layers)
    ]


def _qwen2(config: HfConfig) -> dict[str, Any]:
    return _qwen(config, qkv_bias=True)


def _qwen3(config: HfConfig) -> dict[str, Any]:
    return _qwen(config, qkv_bias=config.flag("attention_bias", default=False))


def _qwen1(config: HfConfig) -> dict[str, Any]:
    # The config gives twice the width of one matrix.
    ffn = dense(config, width=config.count("intermediate_size") // 2)
    return _same(config, attention(config, qkv_bias=True), ffn, **whole(config, tie=False, context=("seq_length",)))


def _gpt_oss(config: HfConfig) -> dict[str, Any]:
    window = config.count("sliding_window", default=128)
    kinds = layer_types(config, lambda layer: SLIDING if layer % 2 == 0 else FULL)
    bias = config.flag("attention_bias", default=True)
    mixers = [
        attention(config, qkv_bias=bias, o_bias=bias, window=window if kind == SLIDING else None) for kind in kinds
    ]
    method = config.inner("quantization_config").raw.get("quant_method")
    native = {"expert_native_precision": "mxfp4"} if method == "mxfp4" else {}
    ffn = moe(config, width=config.count("intermediate_size"), expert_bias=True)
    return {
        **whole(config, tie=False),
        **native,
        "mixers": grouped(mixers),
        "ffns": [{**ffn, "count": config.layers}],
    }


def _windowed(config: HfConfig, *, window: int, kinds: list[str], tie: bool) -> dict[str, Any]:
    mixers = [attention(config, window=window if kind == SLIDING else None) for kind in kinds]
    return {**whole(config, tie=tie), "mixers": grouped(mixers), "ffns": [{**dense(config), "count": config.layers}]}


def _gemma2(config: HfConfig) -> dict[str, Any]:
    kinds = layer_types(config, lambda layer: SLIDING if layer % 2 == 0 else FULL)
    raw = HfConfig({"head_dim": 256, **config.raw})
    return _windowed(raw, window=config.count("sliding_window", default=4096), kinds=kinds, tie=True)


def _gemma3(config: HfConfig) -> dict[str, Any]:
    # A published config leaves out what its class has as default.
    defaults = {
        "vocab_size": 262_208,
        "head_dim": 256,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 131_072,
    }
    full = HfConfig({**defaults, **config.raw})
    pattern = max(1, full.count("sliding_window_pattern", default=6))
    kinds = layer_types(full, lambda layer: SLIDING if (layer + 1) % pattern else FULL)
    return _windowed(full, window=full.count("sliding_window", default=4096), kinds=kinds, tie=True)


def _gemma4(config: HfConfig) -> dict[str, Any]:
    layers = config.layers
    kinds = layer_types(config, lambda layer: SLIDING if (layer + 1) % 6 else FULL)
    kinds = [*kinds[:-1], FULL]
    first_shared = layers - config.count("num_kv_shared_layers", default=0)
    mixers = [_gemma4_mixer(config, kind, shared=layer >= first_shared) for layer, kind in enumerate(kinds)]
    wide = config.flag("use_double_wide_mlp", default=False)
    width = config.count("intermediate_size")
    ffns = [_gemma4_ffn(config, 2 * width if wide and layer >= first_shared else width) for layer in range(layers)]
    return {
        **whole(config, tie=True),
        "per_layer_embedding_dim": config.count("hidden_size_per_layer_input", default=256),
        "mixers": grouped(mixers),
        "ffns": grouped(ffns),
    }


def _gemma4_mixer(config: HfConfig, kind: str, *, shared: bool) -> dict[str, Any]:
    if kind == SLIDING:
        window = config.count("sliding_window", default=512)
        return attention(config, head_dim=config.count("head_dim", default=256), window=window, kv_shared=shared)
    k_eq_v = config.flag("attention_k_eq_v", default=False)
    mixer = attention(config, head_dim=config.count("global_head_dim", default=512), k_eq_v=k_eq_v, kv_shared=shared)
    if k_eq_v and config.has("num_global_key_value_heads"):
        mixer["kv_heads"] = config.count("num_global_key_value_heads")
    return mixer


def _gemma4_ffn(config: HfConfig, width: int) -> dict[str, Any]:
    if not config.flag("enable_moe_block", default=False):
        return dense(config, width=width)
    return moe(config, width=config.count("moe_intermediate_size"), dense_parallel_intermediate=width)


def _olmo2(config: HfConfig) -> dict[str, Any]:
    bias = config.flag("attention_bias", default=False)
    mixer = attention(config, qkv_bias=bias, o_bias=bias)
    return _same(config, mixer, dense(config), **whole(config, tie=False))


def _olmo3(config: HfConfig) -> dict[str, Any]:
    kinds = layer_types(config, lambda layer: SLIDING if (layer + 1) % 4 else FULL)
    return _windowed(config, window=config.count("sliding_window", default=4096), kinds=kinds, tie=False)


def _nemotron(config: HfConfig) -> dict[str, Any]:
    bias = config.flag("attention_bias", default=False)
    ffn = dense(config, gated=False, biases=config.flag("mlp_bias", default=False))
    return _same(config, attention(config, qkv_bias=bias, o_bias=bias), ffn, **whole(config, tie=False))


def _falcon(config: HfConfig) -> dict[str, Any]:
    heads = config.count("num_attention_heads", "n_head")
    if config.flag("new_decoder_architecture", default=False):
        kv_heads = config.count("num_kv_heads", "n_head_kv", default=heads)
    else:
        kv_heads = 1 if config.flag("multi_query", default=True) else heads
    bias = config.flag("bias", default=False)
    hidden = config.count("hidden_size", "n_embd")
    mixer = {**attention(config, qkv_bias=bias, o_bias=bias), "kv_heads": kv_heads}
    width = config.count("ffn_hidden_size", default=4 * hidden)
    ffn = dense(config, gated=False, biases=bias, width=width)
    return _same(config, mixer, ffn, **whole(config, tie=True))


def _gpt_neox(config: HfConfig) -> dict[str, Any]:
    bias = config.flag("attention_bias", default=True)
    ffn = dense(config, gated=False, biases=True)
    return _same(config, attention(config, qkv_bias=bias, o_bias=bias), ffn, **whole(config, tie=False))


def _gpt2(config: HfConfig) -> dict[str, Any]:
    width = config.count("n_inner", default=4 * config.count("n_embd", "hidden_size"))
    positions = config.count("n_positions", "max_position_embeddings")
    ffn = dense(config, gated=False, biases=True, width=width)
    return {
        **_same(config, attention(config, qkv_bias=True, o_bias=True), ffn, **whole(config, tie=True)),
        "max_context_tokens": positions,
        "learned_positions": positions,
    }


def _mpt(config: HfConfig) -> dict[str, Any]:
    hidden = config.count("d_model")
    layout = config.inner("attn_config")
    context = config.count("max_seq_len", default=2048)
    learned = config.flag("learned_pos_emb", default=True) and not layout.flag("alibi", default=False)
    heads = config.count("n_heads")
    kv_heads = 1 if layout.raw.get("attn_type") == "multiquery_attention" else layout.count("kv_n_heads", default=heads)
    bias = not config.flag("no_bias", default=True)
    mixer = {**attention(config, qkv_bias=bias, o_bias=bias), "kv_heads": kv_heads}
    width = config.count("expansion_ratio", default=4) * hidden
    ffn = dense(config, gated=False, biases=bias, width=width)
    return {
        **_same(config, mixer, ffn, **whole(config, tie=True)),
        "max_context_tokens": context,
        "learned_positions": context if learned else 0,
    }


def _bert(config: HfConfig) -> dict[str, Any]:
    ffn = dense(config, gated=False, biases=True)
    return {
        **_same(config, attention(config, qkv_bias=True, o_bias=True), ffn, **whole(config, tie=True)),
        "learned_positions": config.count("max_position_embeddings"),
        "encoder": True,
    }


def _glm4_moe(config: HfConfig) -> dict[str, Any]:
    layers = config.layers
    mixer = attention(config, qkv_bias=config.flag("attention_bias", default=False))
    width = config.count("moe_intermediate_size")
    experts = moe(config, width=width, shared=config.count("n_shared_experts", default=0) * width)
    first = config.count("first_k_dense_replace", default=0)
    ffns = [dense(config) if layer < first else experts for layer in range(layers)]
    return {**whole(config, tie=False), "mixers": [{**mixer, "count": layers}], "ffns": grouped(ffns)}


def _minimax_m2(config: HfConfig) -> dict[str, Any]:
    shared = config.count("shared_intermediate_size", default=0)
    ffn = moe(config, width=config.count("intermediate_size"), shared=shared)
    return _same(config, attention(config), ffn, **whole(config, tie=False))


def _minimax_m3(config: HfConfig) -> dict[str, Any]:
    layers = config.layers
    sparse = config.inner("sparse_attention_config")
    block = sparse.count("sparse_block_size", default=128)
    indexed = sparse.items("sparse_attention_freq", length=layers) or [1] * layers
    indexer = {
        "heads": sparse.count("sparse_num_index_heads"),
        "head_dim": sparse.count("sparse_index_dim"),
        "topk": sparse.count("sparse_topk_blocks") * block,
        "layers": sum(1 for entry in indexed if entry),
        "block": block,
    }
    width = config.count("intermediate_size")
    shared = config.count("shared_intermediate_size", default=width * config.count("n_shared_experts", default=0))
    experts = moe(config, width=width, shared=shared)
    plain = dense(config, width=config.count("dense_intermediate_size", default=width))
    routed = config.items("moe_layer_freq", length=layers) or [1] * layers
    return {
        **whole(config, tie=False),
        "mixers": [{**attention(config), "count": layers, "indexer": indexer}],
        "ffns": grouped(experts if entry else plain for entry in routed),
    }


def _llama4(config: HfConfig) -> dict[str, Any]:
    layers = config.layers
    chunk = config.optional("attention_chunk_size")
    interval = max(1, config.count("no_rope_layer_interval", default=4))
    # An entry of 0 is a layer without rotation, which attends to everything.
    rotated = config.items("no_rope_layers", length=layers) if config.raw.get("no_rope_layers") else None
    rotated = rotated or [int((layer + 1) % interval != 0) for layer in range(layers)]
    mixers = [attention(config, chunk=chunk if entry else None) for entry in rotated]
    width = config.count("intermediate_size")
    step = max(1, config.count("interleave_moe_layer_step", default=1))
    listed = config.numbers("moe_layers")
    routed = listed if listed is not None else set(range(step - 1, layers, step))
    experts = moe(config, width=width, shared=width)
    plain = dense(config, width=config.count("intermediate_size_mlp", default=width))
    return {
        **whole(config, tie=False),
        "mixers": grouped(mixers),
        "ffns": grouped(experts if layer in routed else plain for layer in range(layers)),
    }


FAMILIES: dict[str, Callable[[HfConfig], dict[str, Any]]] = {
    "bert": _bert,
    "falcon": _falcon,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "gemma3_text": _gemma3,
    "gemma4": _gemma4,
    "gemma4_text": _gemma4,
    "glm4_moe": _glm4_moe,
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
    "gpt_oss": _gpt_oss,
    "llama": _llama,
    "llama4": _llama4,
    "llama4_text": _llama4,
    "minimax_m2": _minimax_m2,
    "minimax_m3": _minimax_m3,
    "minimax_m3_text": _minimax_m3,
    "minimax_m3_vl": _minimax_m3,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "mpt": _mpt,
    "nemotron": _nemotron,
    "olmo2": _olmo2,
    "olmo3": _olmo3,
    "phi": _phi,
    "phi3": _phi3,
    "qwen": _qwen1,
    "qwen2": _qwen2,
    "qwen2_moe": _qwen2,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3,
    "qwen3_vl_moe_text": _qwen3,
    "qwen3_vl_text": _qwen3,
}
