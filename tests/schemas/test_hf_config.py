"""A config.json gives the same architecture as the zoo's own entry, and nonsense names the field that is wrong."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from marshmallow import ValidationError

from service.catalog.files import read_yaml
from service.catalog.models import load_zoo
from service.schemas.architecture import INLINE_ID, ArchitectureSchema, architecture_from_hf_config
from service.schemas.hf_config import supported_model_types

ZOO = load_zoo(Path(__file__).parents[2] / "config" / "models").models

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"], "attention_bias": False, "hidden_act": "silu", "hidden_size": 4096,
    "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": False, "model_type": "llama",
    "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rope_theta": 500000.0,
    "tie_word_embeddings": False, "vocab_size": 128256,
}
DEEPSEEK_V3 = {
    "model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "n_shared_experts": 1,
    "n_routed_experts": 256, "num_experts_per_tok": 8, "first_k_dense_replace": 3, "moe_layer_freq": 1,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "num_nextn_predict_layers": 1, "vocab_size": 129280, "max_position_embeddings": 163840,
    "tie_word_embeddings": False,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama-3.1-8b": LLAMA_8B,
    "llama-3.1-70b": {
        **LLAMA_8B, "hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64, "num_hidden_layers": 80,
    },
    "llama-4-maverick": {
        "model_type": "llama4",
        "text_config": {
            "model_type": "llama4_text", "attention_chunk_size": 8192, "hidden_size": 5120, "intermediate_size": 8192,
            "intermediate_size_mlp": 16384, "interleave_moe_layer_step": 2, "max_position_embeddings": 1048576,
            "num_attention_heads": 40, "num_experts_per_tok": 1, "num_hidden_layers": 48, "num_key_value_heads": 8,
            "head_dim": 128, "num_local_experts": 128, "vocab_size": 202048, "no_rope_layers": [1, 1, 1, 0] * 12,
        },
    },
    "mixtral-8x7b": {
        "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768,
        "num_attention_heads": 32, "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "num_local_experts": 8, "sliding_window": None, "tie_word_embeddings": False, "vocab_size": 32000,
    },
    "mistral-large-2-123b": {
        "model_type": "mistral", "head_dim": 128, "hidden_size": 12288, "intermediate_size": 28672,
        "max_position_embeddings": 131072, "num_attention_heads": 96, "num_hidden_layers": 88,
        "num_key_value_heads": 8, "sliding_window": None, "vocab_size": 32768,
    },
    "phi-4-14b": {
        "model_type": "phi3", "hidden_size": 5120, "intermediate_size": 17920, "max_position_embeddings": 16384,
        "num_attention_heads": 40, "num_hidden_layers": 40, "num_key_value_heads": 10, "sliding_window": None,
        "vocab_size": 100352, "tie_word_embeddings": False,
    },
    "phi-1.5-1.3b": {
        "model_type": "phi", "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 2048,
        "num_attention_heads": 32, "num_hidden_layers": 24, "num_key_value_heads": None, "vocab_size": 51200,
    },
    "qwen2.5-7b": {
        "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "max_position_embeddings": 32768,
        "max_window_layers": 28, "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
        "sliding_window": 131072, "use_sliding_window": False, "tie_word_embeddings": False, "vocab_size": 152064,
    },
    "qwen-7b": {
        "model_type": "qwen", "hidden_size": 4096, "intermediate_size": 22016, "seq_length": 8192,
        "num_attention_heads": 32, "num_hidden_layers": 32, "vocab_size": 151936, "kv_channels": 128,
    },
    "qwen3-32b": {
        "model_type": "qwen3", "attention_bias": False, "head_dim": 128, "hidden_size": 5120,
        "intermediate_size": 25600, "max_position_embeddings": 40960, "max_window_layers": 64,
        "num_attention_heads": 64, "num_hidden_layers": 64, "num_key_value_heads": 8, "sliding_window": None,
        "use_sliding_window": False, "tie_word_embeddings": False, "vocab_size": 151936,
    },
    "qwen3-30b-a3b": {
        "model_type": "qwen3_moe", "attention_bias": False, "decoder_sparse_step": 1, "head_dim": 128,
        "hidden_size": 2048, "intermediate_size": 6144, "max_position_embeddings": 40960, "mlp_only_layers": [],
        "moe_intermediate_size": 768, "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8,
        "num_hidden_layers": 48, "num_key_value_heads": 4, "tie_word_embeddings": False, "vocab_size": 151936,
    },
    "qwen3-next-80b-a3b": {
        "model_type": "qwen3_next", "full_attention_interval": 4, "head_dim": 256, "hidden_size": 2048,
        "intermediate_size": 5120, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
        "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_value_head_dim": 128,
        "max_position_embeddings": 262144, "mlp_only_layers": [], "moe_intermediate_size": 512,
        "num_attention_heads": 16, "num_experts": 512, "num_experts_per_tok": 10, "num_hidden_layers": 48,
        "num_key_value_heads": 2, "shared_expert_intermediate_size": 512, "tie_word_embeddings": False,
        "vocab_size": 151936,
    },
    "qwen3.5-397b-a17b": {
        "model_type": "qwen3_5_moe",
        "tie_word_embeddings": False,
        "text_config": {
            "model_type": "qwen3_5_moe_text", "head_dim": 256, "hidden_size": 4096, "linear_conv_kernel_dim": 4,
            "linear_key_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 64,
            "linear_value_head_dim": 128, "max_position_embeddings": 262144, "moe_intermediate_size": 1024,
            "mtp_num_hidden_layers": 1, "num_attention_heads": 32, "num_experts": 512, "num_experts_per_tok": 10,
            "num_hidden_layers": 60, "num_key_value_heads": 2, "shared_expert_intermediate_size": 1024,
            "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 15, "vocab_size": 248320,
        },
    },
    "deepseek-v3": DEEPSEEK_V3,
    "deepseek-v3.2": {
        **DEEPSEEK_V3, "model_type": "deepseek_v32", "index_head_dim": 128, "index_n_heads": 64, "index_topk": 2048,
    },
    "kimi-k2.5": {
        "model_type": "kimi_k25",
        "text_config": {
            **DEEPSEEK_V3, "model_type": "kimi_k2", "num_attention_heads": 64, "n_routed_experts": 384,
            "first_k_dense_replace": 1, "vocab_size": 163840, "num_nextn_predict_layers": 0,
            "max_position_embeddings": 262144,
        },
    },
    "moonlight-16b-a3b": {
        "model_type": "deepseek_v3", "first_k_dense_replace": 1, "hidden_size": 2048, "intermediate_size": 11264,
        "kv_lora_rank": 512, "max_position_embeddings": 8192, "moe_intermediate_size": 1408, "moe_layer_freq": 1,
        "n_routed_experts": 64, "n_shared_experts": 2, "num_attention_heads": 16, "num_experts_per_tok": 6,
        "num_hidden_layers": 27, "num_nextn_predict_layers": 0, "q_lora_rank": None, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 163840, "tie_word_embeddings": False,
    },
    "gpt-oss-120b": {
        "model_type": "gpt_oss", "attention_bias": True, "head_dim": 64, "hidden_size": 2880,
        "intermediate_size": 2880, "max_position_embeddings": 131072, "num_attention_heads": 64,
        "num_experts_per_tok": 4, "experts_per_token": 4, "num_hidden_layers": 36, "num_key_value_heads": 8,
        "num_local_experts": 128, "sliding_window": 128, "tie_word_embeddings": False, "vocab_size": 201088,
        "layer_types": ["sliding_attention", "full_attention"] * 18,
        "quantization_config": {"quant_method": "mxfp4"},
    },
    "gemma-2-9b": {
        "model_type": "gemma2", "head_dim": 256, "hidden_size": 3584, "intermediate_size": 14336,
        "max_position_embeddings": 8192, "num_attention_heads": 16, "num_hidden_layers": 42,
        "num_key_value_heads": 8, "sliding_window": 4096, "vocab_size": 256000,
    },
    "gemma-3-27b": {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text", "head_dim": 128, "hidden_size": 5376, "intermediate_size": 21504,
            "num_attention_heads": 32, "num_hidden_layers": 62, "num_key_value_heads": 16, "sliding_window": 1024,
        },
    },
    "gemma-4-26b-a4b": {
        "model_type": "gemma4",
        "text_config": {
            "model_type": "gemma4_text", "attention_k_eq_v": True, "enable_moe_block": True, "global_head_dim": 512,
            "head_dim": 256, "hidden_size": 2816, "hidden_size_per_layer_input": 0, "intermediate_size": 2112,
            "max_position_embeddings": 262144, "moe_intermediate_size": 704, "num_attention_heads": 16,
            "num_experts": 128, "num_global_key_value_heads": 2, "num_hidden_layers": 30, "num_key_value_heads": 8,
            "sliding_window": 1024, "top_k_experts": 8, "vocab_size": 262144,
        },
    },
    "gemma-4-e2b": {
        "model_type": "gemma4",
        "text_config": {
            "model_type": "gemma4_text", "hidden_size": 1536, "hidden_size_per_layer_input": 256,
            "intermediate_size": 6144, "max_position_embeddings": 131072, "num_attention_heads": 8,
            "num_hidden_layers": 35, "num_key_value_heads": 1, "num_kv_shared_layers": 20, "sliding_window": 512,
            "use_double_wide_mlp": True, "vocab_size": 262144, "global_head_dim": 512, "head_dim": 256,
            "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
        },
    },
    "glm-4.5-air": {
        "model_type": "glm4_moe", "attention_bias": True, "first_k_dense_replace": 1, "head_dim": 128,
        "hidden_size": 4096, "intermediate_size": 10944, "max_position_embeddings": 131072,
        "moe_intermediate_size": 1408, "n_routed_experts": 128, "n_shared_experts": 1, "num_attention_heads": 96,
        "num_experts_per_tok": 8, "num_hidden_layers": 46, "num_key_value_heads": 8, "num_nextn_predict_layers": 1,
        "tie_word_embeddings": False, "vocab_size": 151552,
    },
    "minimax-m2.5": {
        "model_type": "minimax_m2", "head_dim": 128, "hidden_size": 3072, "intermediate_size": 1536,
        "max_position_embeddings": 196608, "num_attention_heads": 48, "num_experts_per_tok": 8,
        "num_hidden_layers": 62, "num_key_value_heads": 8, "num_local_experts": 256, "num_mtp_modules": 3,
        "tie_word_embeddings": False, "vocab_size": 200064,
    },
    "minimax-m3": {
        "model_type": "minimax_m3_vl",
        "text_config": {
            "model_type": "minimax_m3", "head_dim": 128, "hidden_size": 6144, "intermediate_size": 3072,
            "dense_intermediate_size": 12288, "shared_intermediate_size": 3072, "num_attention_heads": 64,
            "num_key_value_heads": 4, "num_local_experts": 128, "num_experts_per_tok": 4, "num_hidden_layers": 60,
            "num_mtp_modules": 7, "moe_layer_freq": [0] * 3 + [1] * 57, "max_position_embeddings": 1048576,
            "vocab_size": 200064, "sparse_attention_config": {
                "sparse_attention_freq": [0] * 3 + [1] * 57, "sparse_block_size": 128, "sparse_topk_blocks": 16,
                "sparse_num_index_heads": 4, "sparse_index_dim": 128,
            },
        },
    },
    "nemotron-3-super-120b-a12b": {
        "model_type": "nemotron_h", "hidden_size": 4096, "mamba_num_heads": 128, "mamba_head_dim": 64,
        "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4, "num_attention_heads": 32, "num_key_value_heads": 2,
        "head_dim": 128, "intermediate_size": 2688, "n_routed_experts": 512, "num_experts_per_tok": 22,
        "moe_intermediate_size": 2688, "n_shared_experts": 1, "moe_shared_expert_intermediate_size": 5376,
        "moe_latent_size": 1024, "max_position_embeddings": 262144, "num_nextn_predict_layers": 1,
        "tie_word_embeddings": False, "vocab_size": 131072, "num_hidden_layers": 88,
        "hybrid_override_pattern": "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*"
        "EMEMEMEME",
    },
    "nemotron-4-340b": {
        "model_type": "nemotron", "head_dim": 192, "hidden_size": 18432, "intermediate_size": 73728,
        "max_position_embeddings": 4096, "num_attention_heads": 96, "num_hidden_layers": 96,
        "num_key_value_heads": 8, "vocab_size": 256000,
    },
    "mimo-v2-flash": {
        "model_type": "mimo_v2_flash", "head_dim": 192, "v_head_dim": 128, "hidden_size": 4096,
        "intermediate_size": 16384, "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": None,
        "num_attention_heads": 64, "num_key_value_heads": 4, "num_experts_per_tok": 8, "num_hidden_layers": 48,
        "swa_num_attention_heads": 64, "swa_num_key_value_heads": 8, "swa_head_dim": 192, "swa_v_head_dim": 128,
        "sliding_window": 128, "vocab_size": 152576, "max_position_embeddings": 262144,
        "hybrid_layer_pattern": [0] + [1] * 4 + ([0] + [1] * 5) * 7 + [0], "moe_layer_freq": [0] + [1] * 47,
        "num_nextn_predict_layers": 3,
    },
    "step-3.5-flash": {
        "model_type": "step3p5", "hidden_size": 4096, "intermediate_size": 11264, "num_attention_heads": 64,
        "num_attention_groups": 8, "head_dim": 128, "num_hidden_layers": 45, "use_head_wise_attn_gate": True,
        "sliding_window": 512, "moe_layers_enum": ",".join(str(layer) for layer in range(3, 45)),
        "moe_num_experts": 288, "moe_top_k": 8, "moe_intermediate_size": 1280, "share_expert_dim": 1280,
        "attention_other_setting": {"num_attention_heads": 96, "num_attention_groups": 8, "head_dim": 128},
        "max_position_embeddings": 262144, "num_nextn_predict_layers": 3, "vocab_size": 128896,
        "layer_types": ["sliding_attention" if layer % 4 else "full_attention" for layer in range(48)],
    },
    "olmo-3-32b": {
        "model_type": "olmo3", "hidden_size": 5120, "intermediate_size": 27648, "max_position_embeddings": 65536,
        "num_attention_heads": 40, "num_hidden_layers": 64, "num_key_value_heads": 8, "sliding_window": 4096,
        "vocab_size": 100352, "tie_word_embeddings": False,
    },
    "falcon-40b": {
        "model_type": "falcon", "alibi": False, "bias": False, "hidden_size": 8192, "multi_query": True,
        "new_decoder_architecture": True, "num_attention_heads": 128, "num_hidden_layers": 60, "num_kv_heads": 8,
        "parallel_attn": True, "vocab_size": 65024,
    },
    "stablelm-alpha-3b": {
        "model_type": "gpt_neox", "hidden_size": 4096, "intermediate_size": 16384, "max_position_embeddings": 4096,
        "num_attention_heads": 32, "num_hidden_layers": 16, "tie_word_embeddings": False, "vocab_size": 50688,
    },
    "gpt-3-175b": {
        "model_type": "gpt2", "n_embd": 12288, "n_layer": 96, "n_head": 96, "n_positions": 2048, "vocab_size": 51200,
    },
    "mpt-7b": {
        "model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "expansion_ratio": 4, "no_bias": True,
        "max_seq_len": 2048, "learned_pos_emb": True, "vocab_size": 50368, "attn_config": {"alibi": False},
    },
    "bert-large": {
        "model_type": "bert", "hidden_size": 1024, "intermediate_size": 4096, "max_position_embeddings": 512,
        "num_attention_heads": 16, "num_hidden_layers": 24, "vocab_size": 30528,
    },
    "deepseek-v4-flash": {
        "model_type": "deepseek_v4", "hidden_size": 4096, "num_hidden_layers": 43, "num_attention_heads": 64,
        "num_key_value_heads": 1, "head_dim": 512, "qk_rope_head_dim": 64, "q_lora_rank": 1024, "o_lora_rank": 1024,
        "o_groups": 8, "vocab_size": 129280, "n_routed_experts": 256, "n_shared_experts": 1,
        "num_experts_per_tok": 6, "moe_intermediate_size": 2048, "index_n_heads": 64, "index_head_dim": 128,
        "index_topk": 512, "sliding_window": 128, "num_hash_layers": 3, "num_nextn_predict_layers": 1,
        "compress_ratios": [0, 0] + [4, 128] * 20 + [4, 0], "max_position_embeddings": 1048576, "expert_dtype": "fp4",
    },
    "glm-5.2": {
        "model_type": "glm_moe_dsa", "hidden_size": 6144, "num_hidden_layers": 78, "num_attention_heads": 64,
        "q_lora_rank": 2048, "kv_lora_rank": 512, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64, "v_head_dim": 256,
        "index_n_heads": 32, "index_head_dim": 128, "index_topk": 2048, "first_k_dense_replace": 3,
        "intermediate_size": 12288, "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
        "num_experts_per_tok": 8, "num_nextn_predict_layers": 1, "vocab_size": 154880,
        "indexer_types": ["full"] * 21 + ["shared"] * 57,
    },
}


def _same_shape(architecture: Any) -> Any:
    """Without what a config does not say: the id, the longest context, prediction layers that it leaves out."""
    return dataclasses.replace(architecture, id="", max_context_tokens=None, mtp_layers=0)


@pytest.mark.parametrize("model", sorted(CONFIGS))
def test_config_gives_the_architecture_of_the_zoo(model: str) -> None:
    read = architecture_from_hf_config(CONFIGS[model])
    known = ZOO[model].architecture
    order = {"key": lambda part: (part.kind, part.count, part.window or 0, part.chunk or 0)}
    assert sorted(read.mixers, **order) == sorted(known.mixers, **order)
    assert sorted(read.ffns, key=repr) == sorted(known.ffns, key=repr)
    rest = {"mixers": (), "ffns": ()}
    assert dataclasses.replace(_same_shape(read), **rest) == dataclasses.replace(_same_shape(known), **rest)


def test_every_supported_type_is_named_when_one_is_not() -> None:
    with pytest.raises(ValidationError) as refused:
        architecture_from_hf_config({**LLAMA_8B, "model_type": "lama"})
    [issue] = refused.value.messages["model_type"]
    assert "llama" in issue.did_you_mean
    assert all(name in issue for name in supported_model_types())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model_type": None}, "model_type"),
        ({"hidden_size": None}, "hidden_size"),
        ({"hidden_size": "4096"}, "hidden_size"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_hidden_layers": -1}, "num_hidden_layers"),
        ({"num_hidden_layers": float("inf")}, "num_hidden_layers"),
        ({"vocab_size": 0}, "vocab"),
        ({"vocab_size": 10**18}, "vocab"),
        ({"num_attention_heads": 0}, "mixers"),
        ({"num_key_value_heads": 5}, "mixers"),
        ({"intermediate_size": -7}, "ffns"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"attention_bias": [1]}, "attention_bias"),
        ({"model_type": "gpt_oss", "layer_types": [{}] * 32, "num_local_experts": 8}, "layer_types"),
        ({"model_type": "llama4", "num_local_experts": 8, "num_experts_per_tok": 1, "moe_layers": [{}]}, "moe_layers"),
        ({"model_type": "nemotron_h", "hybrid_override_pattern": "MX"}, "hybrid_override_pattern"),
        ({"model_type": "nemotron-nas"}, "block_configs"),
        ({"text_config": {"model_type": "nothing"}}, "model_type"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        architecture_from_hf_config({**LLAMA_8B, **change})
    assert field in refused.value.messages


def test_what_a_config_gives_survives_the_wire() -> None:
    schema = ArchitectureSchema()
    for config in CONFIGS.values():
        read = architecture_from_hf_config(config)
        assert read.id == INLINE_ID
        assert schema.load(schema.dump(read)) == read


def test_pruned_llama_is_read_layer_by_layer() -> None:
    path = Path(__file__).parents[2] / "config" / "models" / "llama-3.3-nemotron-super-49b.yaml"
    blocks = []
    for entry in str(read_yaml(path)["layer_pattern"]).split(","):
        attends = {"n_heads_in_group": 8, "no_op": False} if entry[0] == "A" else {"no_op": True}
        blocks.append({"attention": attends, "ffn": {"ffn_mult": float(entry[1:])}})
    config = {**CONFIGS["llama-3.1-70b"], "model_type": "nemotron-nas", "block_configs": blocks}
    read = architecture_from_hf_config(config)
    known = ZOO["llama-3.3-nemotron-super-49b"].architecture
    assert sorted(read.mixers, key=repr) == sorted(known.mixers, key=repr)
    assert sorted(read.ffns, key=repr) == sorted(known.ffns, key=repr)
