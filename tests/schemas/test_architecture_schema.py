"""Inline architectures: what is loaded, what is refused and by which words, and the one form they are dumped in."""

import time
from typing import Any

import pytest
from marshmallow import ValidationError

from service.schemas.architecture import INLINE_ID, ArchitectureSchema
from service.sizing.architecture import Mixer, MixerKind

SCHEMA = ArchitectureSchema()
ATTENTION = {"kind": "attention", "count": 2, "heads": 8, "kv_heads": 2, "head_dim": 64}
DENSE = {"kind": "dense", "count": 2, "intermediate": 2048}
MOE = {"kind": "moe", "count": 2, "experts": 8, "top_k": 2, "intermediate": 256}
PLAIN: dict[str, Any] = {"layers": 2, "hidden": 512, "vocab": 32000, "mixers": [ATTENTION], "ffns": [DENSE]}


def test_a_plain_one_is_loaded_with_its_defaults() -> None:
    loaded = SCHEMA.load(PLAIN)
    assert loaded.id == INLINE_ID
    assert loaded.mixers == (Mixer(kind=MixerKind.ATTENTION, count=2, heads=8, kv_heads=2, head_dim=64, v_head_dim=64),)
    assert loaded.ffns[0].gated
    assert not loaded.tie_embeddings


def test_one_architecture_has_one_form() -> None:
    spelled = {
        **PLAIN,
        "tie_embeddings": False,
        "max_context_tokens": None,
        "layers": 2.0,
        "mixers": [{**ATTENTION, "v_head_dim": 64, "window": None, "qkv_bias": False}],
    }
    assert SCHEMA.dump(SCHEMA.load(spelled)) == SCHEMA.dump(SCHEMA.load(PLAIN))
    dumped = SCHEMA.dump(SCHEMA.load(PLAIN))
    assert SCHEMA.load(dumped) == SCHEMA.load(PLAIN)
    assert "state" not in dumped["mixers"][0]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"layers": 0}, ("layers",)),
        ({"layers": -3}, ("layers",)),
        ({"layers": 10**18}, ("layers",)),
        ({"layers": 2.5}, ("layers",)),
        ({"layers": "2"}, ("layers",)),
        ({"layers": True}, ("layers",)),
        ({"layers": 3}, ("mixers",)),
        ({"hidden": 10**18}, ("hidden",)),
        ({"vocab": 10**30}, ("vocab",)),
        ({"vocab": float("nan")}, ("vocab",)),
        ({"tie_embeddings": 1}, ("tie_embeddings",)),
        ({"expert_native_precision": "fp3"}, ("expert_native_precision",)),
        ({"hiden": 512}, ("hiden",)),
        ({"id": "mine"}, ("id",)),
        ({"mixers": []}, ("mixers",)),
        ({"mixers": {}}, ("mixers",)),
        ({"mixers": [{**ATTENTION, "kind": "magic"}]}, ("mixers", 0, "kind")),
        ({"mixers": [{**ATTENTION, "count": 1}]}, ("mixers",)),
        ({"mixers": [{**ATTENTION, "kv_heads": 3}]}, ("mixers", 0, "kv_heads")),
        ({"mixers": [{**ATTENTION, "kv_heads": 16}]}, ("mixers", 0, "kv_heads")),
        ({"mixers": [{**ATTENTION, "heads": 0}]}, ("mixers", 0, "heads")),
        ({"mixers": [{**ATTENTION, "state": 16}]}, ("mixers", 0, "state")),
        ({"mixers": [{"kind": "mla", "count": 2, "heads": 8}]}, ("mixers", 0, "kv_lora_rank")),
        ({"ffns": [{**DENSE, "experts": 8}]}, ("ffns", 0, "experts")),
        ({"ffns": [{**MOE, "top_k": 9}]}, ("ffns", 0, "top_k")),
        ({"ffns": [{**MOE, "top_k": 0}]}, ("ffns", 0, "top_k")),
        ({"ffns": [{**MOE, "intermediate": -1}]}, ("ffns", 0, "intermediate")),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], path: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        SCHEMA.load({**PLAIN, **change})
    messages: Any = refused.value.messages
    for key in path:
        assert key in messages, refused.value.messages
        messages = messages[key]


def test_the_typo_of_a_field_is_recognised() -> None:
    with pytest.raises(ValidationError) as refused:
        SCHEMA.load({**PLAIN, "hiden": 512})
    [issue] = refused.value.messages["hiden"]
    assert issue.did_you_mean == ("hidden",)


def test_layers_beyond_any_network_are_refused_by_what_they_make() -> None:
    huge = {
        **PLAIN,
        "layers": 2048,
        "hidden": 262_144,
        "mixers": [{**ATTENTION, "count": 2048}],
        "ffns": [{**MOE, "count": 2048, "experts": 16_384, "intermediate": 1_048_576}],
    }
    with pytest.raises(ValidationError, match="parameters"):
        SCHEMA.load(huge)


def test_a_flood_of_parts_is_refused_before_it_is_read() -> None:
    start = time.perf_counter()
    with pytest.raises(ValidationError) as refused:
        SCHEMA.load({**PLAIN, "mixers": [{}] * 300_000})
    assert time.perf_counter() - start < 1.0
    assert "256" in str(refused.value.messages["mixers"])
