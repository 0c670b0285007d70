"""config.json of models that mix kinds of layers: linear attention, state space, unequal attention."""

from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError

from service.schemas.hf_fields import (
    FULL,
    LINEAR,
    SLIDING,
    HfConfig,
    attention,
    dense,
    grouped,
    layer_types,
    moe,
    whole,
)
from service.schemas.issue import Issue

_BLOCKS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_NOTHING = {"kind": "none"}


def _qwen_linear(config: HfConfig) -> dict[str, Any]:
    """Qwen3-Next and Qwen 3.5: gated DeltaNet, with full attention on every fourth layer."""
    interval = max(1, config.count("full_attention_interval", default=4))
    kinds = layer_types(config, lambda layer: LINEAR if (layer + 1) % interval else FULL, known=(LINEAR, FULL))
    full = attention(config, head_dim=config.count("head_dim", default=256), output_gate=True)
    linear = {
        "kind": "gated_deltanet",
        "key_heads": config.count("linear_num_key_heads"),
        "value_heads": config.count("linear_num_value_heads"),
        "key_head_dim": config.count("linear_key_head_dim"),
        "value_head_dim": config.count("linear_value_head_dim"),
        "conv_kernel": config.count("linear_conv_kernel_dim", default=4),
    }
    ffn = dense(config)
    if config.has("moe_intermediate_size"):
        shared = config.count("shared_expert_intermediate_size", default=0)
        ffn = moe(config, width=config.count("moe_intermediate_size"), shared=shared)
    return {
        **whole(config, tie=False),
        "mixers": grouped(linear if kind == LINEAR else full for kind in kinds),
        "ffns": [{**ffn, "count": config.layers}],
    }


def _qwen_linear_moe(config: HfConfig) -> dict[str, Any]:
    # A mixture has no dense FFN, and its config may not state a width for one.
    return _qwen_linear(HfConfig({"intermediate_size": config.count("moe_intermediate_size"), **config.raw}))


def _nemotron_h(config: HfConfig) -> dict[str, Any]:
    """Each layer is one mixer or one FFN."""
    blocks = _blocks(config)
    sized = HfConfig({**config.raw, "num_hidden_layers": len(blocks)})
    mixers = {"mamba": _mamba2(config), "attention": _nemotron_h_attention(config)}
    made: dict[str, dict[str, Any]] = {}
    if "mlp" in blocks:
        made["mlp"] = dense(config, gated=False, biases=config.flag("mlp_bias", default=False))
    if "moe" in blocks:
        made["moe"] = _nemotron_h_moe(config)
    return {
        **whole(sized, tie=False),
        "mixers": grouped(mixers.get(kind, _NOTHING) for kind in blocks),
        "ffns": grouped(made.get(kind, _NOTHING) for kind in blocks),
    }


def _blocks(config: HfConfig) -> list[str]:
    pattern = config.raw.get("hybrid_override_pattern")
    listed = config.raw.get("layers_block_type")
    name = "hybrid_override_pattern" if listed is None else "layers_block_type"
    blocks = listed if listed is not None else [_BLOCKS.get(letter) for letter in str(pattern or "")]
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= 2048 or not set(map(str, blocks)) <= {*_BLOCKS.values()}:
        known = ", ".join(f"{letter} ({kind})" for letter, kind in _BLOCKS.items())
        raise ValidationError({name: [Issue(f"Must name every layer as one of {known}.", limit=known)]})
    return [str(block) for block in blocks]


def _mamba2(config: HfConfig) -> dict[str, Any]:
    return {
        "kind": "mamba2",
        "heads": config.count("mamba_num_heads"),
        "head_dim": config.count("mamba_head_dim"),
        "state": config.count("ssm_state_size"),
        "groups": config.count("n_groups", "mamba_n_groups"),
        "conv_kernel": config.count("conv_kernel", default=4),
    }


def _nemotron_h_attention(config: HfConfig) -> dict[str, Any]:
    bias = config.flag("attention_bias", default=False)
    width = config.count("head_dim", "attention_head_dim", default=128)
    return attention(config, head_dim=width, qkv_bias=bias, o_bias=bias)


def _nemotron_h_moe(config: HfConfig) -> dict[str, Any]:
    width = config.count("moe_intermediate_size")
    number = config.count("n_shared_experts", default=0)
    shared = number * config.count("moe_shared_expert_intermediate_size", default=width)
    latent = config.optional("moe_latent_size")
    return {**moe(config, width=width, shared=shared), "gated": False, **({"latent": latent} if latent else {})}


def _nemotron_nas(config: HfConfig) -> dict[str, Any]:
    """Llama with attention left out and FFNs narrowed layer by layer."""
    blocks = config.items("block_configs", length=config.layers)
    if blocks is None:
        raise ValidationError({"block_configs": [Issue("This field is required.")]})
    parts = [HfConfig(block) if isinstance(block, dict) else HfConfig({}) for block in blocks]
    return {
        **whole(config, tie=False),
        "mixers": grouped(_nas_mixer(config, part.inner("attention")) for part in parts),
        "ffns": grouped(_nas_ffn(config, part.inner("ffn")) for part in parts),
    }


def _refuse_linear(part: HfConfig) -> None:
    if part.flag("replace_with_linear", default=False):
        raise ValidationError({"block_configs": [Issue("Layers that are replaced by a linear one are not supported.")]})


def _nas_mixer(config: HfConfig, part: HfConfig) -> dict[str, Any]:
    _refuse_linear(part)
    if part.flag("no_op", default=False):
        return _NOTHING
    heads = config.count("num_attention_heads")
    return {**attention(config), "kv_heads": heads // max(1, part.count("n_heads_in_group"))}


def _nas_ffn(config: HfConfig, part: HfConfig) -> dict[str, Any]:
    _refuse_linear(part)
    if part.flag("no_op", default=False):
        return _NOTHING
    factor = part.raw.get("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 100:
        raise ValidationError({"block_configs": [Issue("ffn_mult must be a number from 0 to 100.", value=factor)]})
    # Two thirds of the factor, rounded up to a multiple of 256, as the publisher does.
    exact = int(2 * factor * config.count("hidden_size") / 3)
    return dense(config, width=-(-exact // 256) * 256)


def _mimo(config: HfConfig) -> dict[str, Any]:
    layers = config.layers
    sliding = config.items("hybrid_layer_pattern", length=layers) or [0] * layers
    full = attention(config, v_head_dim=config.count("v_head_dim"))
    window = {
        "kind": "attention",
        "heads": config.count("swa_num_attention_heads", "num_attention_heads"),
        "kv_heads": config.count("swa_num_key_value_heads", "num_key_value_heads"),
        "head_dim": config.count("swa_head_dim", "head_dim"),
        "v_head_dim": config.count("swa_v_head_dim", "v_head_dim"),
        "window": config.count("sliding_window", "sliding_window_size"),
    }
    width = config.count("moe_intermediate_size")
    experts = moe(config, width=width, shared=width * config.count("n_shared_experts", default=0))
    routed = config.items("moe_layer_freq", length=layers) or [1] * layers
    return {
        **whole(config, tie=False),
        "mixers": grouped(window if entry else full for entry in sliding),
        "ffns": grouped(experts if entry else dense(config) for entry in routed),
    }


def _step(config: HfConfig) -> dict[str, Any]:
    layers = config.layers
    kinds = layer_types(config, lambda layer: SLIDING if layer % 4 else FULL)
    gate = config.flag("use_head_wise_attn_gate", default=False)
    renamed = HfConfig({**config.raw, "num_key_value_heads": config.count("num_attention_groups")})
    full = attention(renamed, head_gate=gate)
    other = config.inner("attention_other_setting")
    window = {
        "kind": "attention",
        "heads": other.count("num_attention_heads", default=full["heads"]),
        "kv_heads": other.count("num_attention_groups", default=full["kv_heads"]),
        "head_dim": other.count("head_dim", default=full["head_dim"]),
        "window": config.count("sliding_window"),
        "head_gate": gate,
    }
    experts = moe(
        config, width=config.count("moe_intermediate_size"), shared=config.count("share_expert_dim", default=0)
    )
    routed = config.numbers("moe_layers_enum") or set()
    return {
        **whole(config, tie=False),
        "mixers": grouped(window if kind == SLIDING else full for kind in kinds),
        "ffns": grouped(experts if layer in routed else dense(config) for layer in range(layers)),
    }


FAMILIES: dict[str, Callable[[HfConfig], dict[str, Any]]] = {
    "mimo_v2": _mimo,
    "mimo_v2_flash": _mimo,
    "nemotron-nas": _nemotron_nas,
    "nemotron_h": _nemotron_h,
    "qwen3_5": _qwen_linear,
    "qwen3_5_moe": _qwen_linear_moe,
    "qwen3_5_moe_text": _qwen_linear_moe,
    "qwen3_5_text": _qwen_linear,
    "qwen3_next": _qwen_linear_moe,
    "step3p5": _step,
}
