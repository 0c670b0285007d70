"""A config.json gives the same architecture as the zoo's own entry, and nonsense names the field that is wrong."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from service.catalog.files import read_yaml
from service.catalog.models import load_zoo
from service.schemas.architecture import INLINE_ID, ArchitectureSchema, architecture_from_hf_config
from service.schemas.hf_config import _FAMILIES

CONFIGS = read_yaml(Path(__file__).with_name("hf_configs.yaml"))
LLAMA_8B = CONFIGS["llama-3.1-8b"]
ZOO = load_zoo(Path(__file__).parents[2] / "config" / "models").models


def _same_shape(architecture: Any) -> Any:
    """Without what a config does not say: id, longest context, prediction layers that it leaves out, checkpoints."""
    published = {"published_precisions": (), "four_bit_mixers": None, "four_bit_unpacked": False, "released": None}
    return dataclasses.replace(architecture, id="", max_context_tokens=None, mtp_layers=0, **published)


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
    assert all(name in issue for name in _FAMILIES)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model_type": None}, "model_type"),
        ({"hidden_size": None}, "hidden_size"),
        ({"hidden_size": "4096"}, "hidden_size"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_hidden_layers": -1}, "num_hidden_layers"),
        ({"num_hidden_layers": float("inf")}, "num_hidden_layers"),
        ({"vocab_size": 0}, "vocab_size"),
        ({"vocab_size": 10**18}, "vocab_size"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"num_key_value_heads": 5}, "num_key_value_heads"),
        ({"intermediate_size": -7}, "intermediate_size"),
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


def test_what_is_wrong_is_told_by_the_names_of_the_file() -> None:
    with pytest.raises(ValidationError) as refused:
        architecture_from_hf_config({**LLAMA_8B, "num_key_value_heads": 5})
    assert refused.value.messages == {"num_key_value_heads": ["Must be a divisor of num_attention_heads (32)."]}


def test_a_model_of_another_kind_is_said_to_be_one() -> None:
    with pytest.raises(ValidationError) as refused:
        architecture_from_hf_config({"model_type": "whisper", "d_model": 1280})
    [message] = refused.value.messages["model_type"]
    assert message.startswith("whisper is a model for speech; Headroom sizes language models")


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


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(model=st.sampled_from(sorted(CONFIGS)), data=st.data())
def test_nonsense_in_any_field_is_refused_or_read_and_never_crashes(model: str, data: st.DataObject) -> None:
    config = dict(CONFIGS[model])
    inner = config.get("text_config")
    target = dict(inner) if isinstance(inner, dict) else config
    for field in data.draw(st.lists(st.sampled_from(sorted(target)), min_size=1, max_size=2)):
        target[field] = data.draw(NONSENSE)
    if target is not config:
        config["text_config"] = target
    with contextlib.suppress(ValidationError):
        assert architecture_from_hf_config(config).layers >= 1
