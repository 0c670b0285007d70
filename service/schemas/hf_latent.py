"""config.json of models with latent or compressed attention: DeepSeek, Kimi K2, GLM 4.7 Flash and 5."""

from collections.abc import Callable
from typing import Any

from service.schemas.hf_fields import HfConfig, dense, grouped, moe, whole


def _mla(config: HfConfig) -> dict[str, Any]:
    return {
        "kind": "mla",
        "count": config.layers,
        "heads": config.count("num_attention_heads"),
        "q_lora_rank": config.optional("q_lora_rank"),
        "kv_lora_rank": config.count("kv_lora_rank"),
        "qk_nope_head_dim": config.count("qk_nope_head_dim"),
        "qk_rope_head_dim": config.count("qk_rope_head_dim"),
        "v_head_dim": config.count("v_head_dim"),
    }


def _ffns(config: HfConfig, **extra: Any) -> list[dict[str, Any]]:
    """Dense layers first, then experts on every `moe_layer_freq`-th layer."""
    if not config.has("n_routed_experts"):
        return [{**dense(config), "count": config.layers}]
    width = config.count("moe_intermediate_size")
    shared = config.count("n_shared_experts", default=0) * width
    experts = moe(config, width=width, shared=shared, **extra)
    first = config.count("first_k_dense_replace", default=0)
    every = max(1, config.count("moe_layer_freq", default=1))
    return grouped(
        experts if layer >= first and layer % every == 0 else dense(config) for layer in range(config.layers)
    )


def _deepseek(config: HfConfig) -> dict[str, Any]:
    return {**whole(config, tie=False), **_released(config), "mixers": [_mla(config)], "ffns": _ffns(config)}


def _released(config: HfConfig) -> dict[str, Any]:
    """DeepSeek and Kimi K2 release FP8 weights, and their config says so."""
    method = config.inner("quantization_config").raw.get("quant_method")
    return {"expert_native_precision": "fp8"} if method == "fp8" else {}


def _indexed(config: HfConfig) -> dict[str, Any]:
    """MLA with an indexer; where `indexer_types` is given, layers may share the index of another."""
    listed = config.items("indexer_types", length=config.layers)
    layers = sum(1 for entry in listed if entry == "full") if listed is not None else config.layers
    indexer = {
        "heads": config.count("index_n_heads"),
        "head_dim": config.count("index_head_dim"),
        "topk": config.count("index_topk"),
        "layers": layers,
    }
    mixer = {**_mla(config), "indexer": indexer}
    return {**whole(config, tie=False), **_released(config), "mixers": [mixer], "ffns": _ffns(config)}


def _deepseek_v4(config: HfConfig) -> dict[str, Any]:
    layers = config.layers
    ratios = config.items("compress_ratios", length=layers) or [0] * layers
    mixers = [_dsv4(config, HfConfig({"ratio": ratio}).count("ratio", default=0)) for ratio in ratios]
    native = {"expert_native_precision": "fp4"} if config.raw.get("expert_dtype") == "fp4" else {}
    hashed = config.count("num_hash_layers", default=0)
    extra = {"hash_routed_layers": hashed} if hashed else {}
    return {**whole(config, tie=False), **native, "mixers": grouped(mixers), "ffns": _ffns(config, **extra)}


def _dsv4(config: HfConfig, ratio: int) -> dict[str, Any]:
    mixer: dict[str, Any] = {
        "kind": "dsv4",
        "heads": config.count("num_attention_heads"),
        "head_dim": config.count("head_dim", default=512),
        "q_lora_rank": config.count("q_lora_rank"),
        "qk_rope_head_dim": config.count("qk_rope_head_dim", default=64),
        "o_lora_rank": config.count("o_lora_rank"),
        "o_groups": config.count("o_groups"),
        "window": config.count("sliding_window", default=128),
        "compress_ratio": 0 if ratio <= 1 else ratio,
        "compressor_coff": 1,
    }
    if ratio == 4:
        # Overlapping windows make this compressor twice as wide, and these layers pick tokens by an indexer.
        mixer["compressor_coff"] = 2
        mixer["indexer"] = {
            "heads": config.count("index_n_heads"),
            "head_dim": config.count("index_head_dim"),
            "topk": config.count("index_topk"),
        }
    return mixer


FAMILIES: dict[str, Callable[[HfConfig], dict[str, Any]]] = {
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "deepseek_v32": _indexed,
    "deepseek_v4": _deepseek_v4,
    "glm4_moe_lite": _deepseek,
    "glm_moe_dsa": _indexed,
    "kimi_k2": _deepseek,
}
