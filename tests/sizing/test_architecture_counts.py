"""Counting an architecture: parts worked out by hand, and laws that hold for every shape."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sizing.architecture import (
    Ffn,
    FfnKind,
    Indexer,
    Mixer,
    MixerKind,
    ModelArchitecture,
    WindowedKv,
    count,
    kv_elements,
    mixer_params,
)

HIDDEN = 64


def attention(**changes: Any) -> Mixer:
    plain = Mixer(kind=MixerKind.ATTENTION, count=1, heads=8, kv_heads=2, head_dim=16, v_head_dim=16)
    return replace(plain, **changes)


def architecture(**changes: Any) -> ModelArchitecture:
    plain = ModelArchitecture(
        id="small",
        layers=1,
        hidden=HIDDEN,
        vocab=1000,
        mixers=(attention(),),
        ffns=(Ffn(kind=FfnKind.DENSE, count=1, intermediate=100),),
        max_context_tokens=None,
    )
    return replace(plain, **changes)


QO = HIDDEN * 8 * 16 * 2
KV = HIDDEN * 2 * 16 * 2


@pytest.mark.parametrize(
    ("mixer", "params"),
    [
        (attention(), QO + KV),
        (attention(count=3), 3 * (QO + KV)),
        (attention(window=4), QO + KV),
        (attention(qkv_bias=True), QO + KV + 8 * 16 + 2 * 2 * 16),
        (attention(o_bias=True), QO + KV + HIDDEN),
        (attention(output_gate=True), QO + KV + HIDDEN * 128),
        (attention(head_gate=True), QO + KV + HIDDEN * 8),
        (attention(k_eq_v=True), QO + KV // 2),
        (attention(kv_shared=True), QO),
        (attention(v_head_dim=8), HIDDEN * 128 + 8 * 8 * HIDDEN + HIDDEN * 2 * (16 + 8)),
        (
            attention(count=3, indexer=Indexer(heads=4, head_dim=8, topk=16, layers=2)),
            3 * (QO + KV) + 2 * HIDDEN * (4 * 8 + 8),
        ),
        (
            Mixer(
                kind=MixerKind.MLA,
                count=1,
                heads=4,
                q_lora_rank=24,
                kv_lora_rank=16,
                qk_nope_head_dim=8,
                qk_rope_head_dim=4,
                v_head_dim=6,
            ),
            HIDDEN * 24 + 24 * 4 * 12 + HIDDEN * (16 + 4) + 16 * 4 * (8 + 6) + 4 * 6 * HIDDEN,
        ),
        (
            Mixer(
                kind=MixerKind.MLA,
                count=1,
                heads=4,
                kv_lora_rank=16,
                qk_nope_head_dim=8,
                qk_rope_head_dim=4,
                v_head_dim=6,
            ),
            HIDDEN * 4 * 12 + HIDDEN * (16 + 4) + 16 * 4 * (8 + 6) + 4 * 6 * HIDDEN,
        ),
        (
            Mixer(
                kind=MixerKind.GATED_DELTANET,
                count=1,
                key_heads=2,
                value_heads=4,
                key_head_dim=8,
                value_head_dim=8,
                conv_kernel=4,
            ),
            HIDDEN * (2 * 16 + 32) + HIDDEN * 32 * 2 + HIDDEN * 2 * 4 + 4 * (2 * 16 + 32),
        ),
        (
            Mixer(kind=MixerKind.MAMBA2, count=1, heads=4, head_dim=8, state=16, groups=2, conv_kernel=4),
            HIDDEN * (32 + (32 + 64) + 4) + 32 * HIDDEN + 4 * (32 + 64),
        ),
        (Mixer(kind=MixerKind.NONE, count=5), 0),
    ],
)
def test_mixer_parameters_by_hand(mixer: Mixer, params: int) -> None:
    assert mixer_params(mixer, HIDDEN) == params


def test_a_mixture_counts_all_experts_and_the_active_ones() -> None:
    ffn = Ffn(
        kind=FfnKind.MOE,
        count=1,
        experts=8,
        top_k=2,
        intermediate=32,
        shared_intermediate=48,
        latent=16,
        dense_parallel_intermediate=20,
        expert_bias=True,
    )
    counts = count(architecture(ffns=(ffn,)))
    expert = 3 * 16 * 32 + 2 * 32 + HIDDEN
    assert counts.routed_expert_params == 8 * expert
    assert counts.active_routed_expert_params == 2 * expert
    assert counts.shared_expert_params == 3 * HIDDEN * (48 + 20)
    assert counts.router_params == HIDDEN * (8 + 2 * 16)
    assert counts.is_moe
    assert counts.total_params - counts.active_params == 6 * expert


def test_tied_embeddings_are_held_once_and_multiplied_once() -> None:
    untied, tied = count(architecture()), count(architecture(tie_embeddings=True))
    assert untied.total_params - tied.total_params == 1000 * HIDDEN
    assert untied.matmul_params == tied.matmul_params
    assert tied.lm_head_params == 0


def test_lookups_are_held_and_not_multiplied() -> None:
    plain, learned = count(architecture()), count(architecture(learned_positions=512))
    assert learned.total_params - plain.total_params == 512 * HIDDEN
    assert learned.matmul_params == plain.matmul_params
    layered = count(architecture(per_layer_embedding_dim=4))
    assert layered.total_params - layered.active_params == 1000 * 4
    assert layered.matmul_params - plain.matmul_params == 3 * HIDDEN * 4


def test_what_is_cached() -> None:
    assert kv_elements(attention(count=3)) == 3 * 2 * 32
    assert kv_elements(attention(window=8)) == kv_elements(attention(kv_shared=True)) == 0
    # K that serves as V is still cached twice.
    assert kv_elements(attention(k_eq_v=True)) == kv_elements(attention())
    latent = Mixer(
        kind=MixerKind.MLA,
        count=2,
        heads=4,
        kv_lora_rank=16,
        qk_nope_head_dim=8,
        qk_rope_head_dim=4,
        v_head_dim=6,
        indexer=Indexer(heads=2, head_dim=8, topk=4),
    )
    assert kv_elements(latent) == 2 * (16 + 4) + 2 * 8
    compressed = Mixer(
        kind=MixerKind.DSV4,
        count=4,
        heads=4,
        kv_heads=1,
        head_dim=32,
        q_lora_rank=8,
        o_lora_rank=8,
        o_groups=2,
        window=16,
        compress_ratio=4,
        compressor_coff=2,
        indexer=Indexer(heads=2, head_dim=8, topk=4),
    )
    assert kv_elements(compressed) == 4 * (32 + 8) / 4
    mixed = architecture(
        layers=6,
        mixers=(attention(count=2, window=8), attention(count=1, chunk=4), attention(count=3, window=8, kv_heads=4)),
        ffns=(Ffn(kind=FfnKind.NONE, count=6),),
    )
    counts = count(mixed)
    assert counts.kv_elements_per_token == 0
    assert counts.kv_windowed == (
        WindowedKv(window=4, elements_per_token=2 * 32),
        WindowedKv(window=8, elements_per_token=2 * 64 + 3 * 128),
    )
    assert counts.max_kv_heads == 4


def test_what_a_recurrence_keeps() -> None:
    mamba = Mixer(kind=MixerKind.MAMBA2, count=2, heads=4, head_dim=8, state=16, groups=2, conv_kernel=4)
    counts = count(architecture(layers=2, mixers=(mamba,), ffns=(Ffn(kind=FfnKind.NONE, count=2),)))
    assert counts.state_elements_per_sequence == 2 * 4 * 8 * 16
    assert counts.conv_state_elements_per_sequence == 2 * 3 * (32 + 64)
    assert counts.kv_elements_per_token == 0
    assert counts.max_kv_heads == 1


SHAPES = st.builds(
    lambda layers, heads, groups, width, experts, top_k, tie: architecture(
        layers=layers,
        tie_embeddings=tie,
        mixers=(attention(count=layers, heads=heads * groups, kv_heads=heads, head_dim=width, v_head_dim=width),),
        ffns=(Ffn(kind=FfnKind.MOE, count=layers, experts=experts + top_k, top_k=top_k, intermediate=width),),
    ),
    st.integers(1, 40),
    st.integers(1, 16),
    st.integers(1, 8),
    st.integers(1, 256),
    st.integers(0, 64),
    st.integers(1, 8),
    st.booleans(),
)


@given(SHAPES)
def test_parts_add_up_and_no_part_exceeds_the_whole(shape: ModelArchitecture) -> None:
    counts = count(shape)
    parts = (
        counts.mixer_params
        + counts.dense_ffn_params
        + counts.shared_expert_params
        + counts.routed_expert_params
        + counts.router_params
        + counts.per_layer_params
        + counts.embedding_params
        + counts.lm_head_params
        + counts.norm_params
    )
    assert parts == counts.total_params
    assert counts.matmul_params <= counts.active_params + counts.embedding_params
    assert counts.active_params <= counts.total_params
    assert count(replace(shape, id="other")) == counts


def test_the_same_architecture_is_counted_once() -> None:
    shape = architecture(id="memo")
    assert count(shape) is count(architecture(id="memo"))
