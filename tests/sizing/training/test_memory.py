"""Memory against numbers worked out by hand from the papers."""

import math
from dataclasses import replace

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.sizing.precision import Precision
from service.sizing.training.job import Job, job_of
from service.sizing.training.layouts import micro_batches
from service.sizing.training.memory import activation_bytes, expert_data_ranks, params_gpu, stage_layers_fraction
from service.sizing.units import GB
from service.sizing.workload import LoraTargets, Method, Optimizer
from tests.sizing.training.jobs import job, layouts, training_workload

PARAMS_8B = 8.0303e9


def made(catalog: Catalog, *, plain_stack: bool = False, chunked_loss: bool = False, **changes: object) -> Job:
    """The job of a workload in a stack of one kind or another."""
    workload = training_workload(**changes)
    architecture = catalog.models[str(workload.model)].architecture
    return job_of(workload, architecture, catalog.calibration, plain_stack=plain_stack, chunked_loss=chunked_loss)


def test_full_tuning_of_8b_takes_sixteen_bytes_a_parameter(catalog: Catalog) -> None:
    memory = job(catalog).memory(layouts())
    assert memory.weights[0] == pytest.approx(2 * PARAMS_8B, rel=1e-3)
    assert memory.gradients[0] == pytest.approx(2 * PARAMS_8B, rel=1e-3)
    assert memory.optimizer[0] == pytest.approx(12 * PARAMS_8B, rel=1e-3)


@pytest.mark.parametrize(
    ("optimizer", "model", "bytes_param"),
    [
        (Optimizer.AUTO, "llama-3.1-8b", 12.0),
        (Optimizer.AUTO, "qwen3-30b-a3b", 8.0),
        (Optimizer.ADAMW_FP32, "qwen3-30b-a3b", 12.0),
        (Optimizer.ADAMW_BF16, "llama-3.1-8b", 8.0),
        (Optimizer.ADAMW_PURE_BF16, "llama-3.1-8b", 4.0),
        (Optimizer.ADAMW_8BIT, "llama-3.1-8b", 2.0),
        (Optimizer.ADAMW_8BIT_PAGED, "llama-3.1-8b", 0.0),
        (Optimizer.ADAMW_HOST, "llama-3.1-8b", 0.0),
    ],
)
def test_the_optimizer_keeps_what_it_is_asked_to(
    catalog: Catalog, optimizer: Optimizer, model: str, bytes_param: float
) -> None:
    found = job(catalog, model=model, optimizer=optimizer)
    memory = found.memory(layouts())
    assert memory.optimizer[0] == pytest.approx(bytes_param * found.shape.total_params)
    assert (memory.gradients[0] == 0.0) == (optimizer in {Optimizer.ADAMW_HOST, Optimizer.ADAMW_8BIT_PAGED})


def test_a_framework_that_offloads_shards_keeps_no_weights_either(catalog: Catalog) -> None:
    plain, fused = (
        made(catalog, plain_stack=stack, optimizer=Optimizer.ADAMW_HOST).memory(layouts(dp=8, sharding=3))
        for stack in (True, False)
    )
    assert plain.weights[0] == 0.0
    assert plain.gathered[0] == fused.gathered[0] > 0.0
    assert fused.weights[0] == pytest.approx(2 * PARAMS_8B / 8, rel=1e-3)


@pytest.mark.parametrize(
    ("stage", "weights", "gradients", "optimizer"),
    [(0, 2.0, 2.0, 12.0), (1, 2.0, 2.0, 1.5), (2, 2.0, 0.25, 1.5), (3, 0.25, 0.25, 1.5)],
)
def test_zero_shards_one_state_after_the_other(
    catalog: Catalog, stage: int, weights: float, gradients: float, optimizer: float
) -> None:
    memory = job(catalog).memory(layouts(dp=8, sharding=stage))
    assert memory.weights[0] / PARAMS_8B == pytest.approx(weights, rel=1e-3)
    assert memory.gradients[0] / PARAMS_8B == pytest.approx(gradients, rel=1e-3)
    assert memory.optimizer[0] / PARAMS_8B == pytest.approx(optimizer, rel=1e-3)


def test_activations_of_gpt_175b_follow_the_paper_without_its_dropout_masks(catalog: Catalog) -> None:
    # Korthikanti et al. 2022, eq. 5, sequence parallel, scores recomputed: 34 s b h / t a layer.
    # Two of the 34 are dropout masks, which today's recipes do not have: 32 s b h / t, 12 layers a stage, 8 in flight.
    gpt = job(catalog, model="gpt-3-175b", seq_len_tokens=2048, global_batch_sequences=64)
    layout = layouts(tp=8, pp=8, dp=1)
    stored = activation_bytes(layout, gpt.shape, recipe=gpt.recipe, micro_batches=micro_batches(layout, 64))
    assert stored[0] == pytest.approx(32 * 2048 * 12288 / 8 * 12 * 8, rel=1e-6)


def test_interleaving_holds_more_and_full_recompute_little(catalog: Catalog) -> None:
    gpt = job(catalog, model="gpt-3-175b", seq_len_tokens=2048, global_batch_sequences=64)
    layout = layouts(tp=8, pp=8, vpp=[1, 3, 1], recompute=[0, 0, 2])
    plain, interleaved, full = activation_bytes(
        layout, gpt.shape, recipe=gpt.recipe, micro_batches=micro_batches(layout, 64)
    )
    assert interleaved / plain == pytest.approx(1 + 7 / 24)
    # Layer inputs only, 2 s h a layer over 8 tensor ranks, and one layer that is being rebuilt.
    assert full == pytest.approx(2 * 2048 * 12288 / 8 * 96 + 32 * 2048 * 12288 / 8, rel=1e-6)


def test_stacks_that_recompute_by_operation_keep_every_second_product_and_attention(catalog: Catalog) -> None:
    fused, plain = (made(catalog, plain_stack=stack, precision=Precision.BF16) for stack in (False, True))
    layout = layouts(recompute=[0, 1])
    none, listed = activation_bytes(layout, plain.shape, recipe=plain.recipe, micro_batches=np.array([512, 512]))
    _, modules = activation_bytes(layout, fused.shape, recipe=fused.recipe, micro_batches=np.array([512, 512]))
    # q, k, v and what goes out, gate, up and down: half of them, beside the layer's input and what attention gives.
    products = 4096 + 1024 + 1024 + 4096 + 2 * 14336 + 4096
    kept = 2 * 4096 * 32 * (4096 + 4096 + products / 2)
    # A layer is made again as a whole.
    assert listed == pytest.approx(kept + none / 32)
    assert listed < 0.65 * modules


def test_a_loss_in_chunks_never_holds_all_logits_in_fp32(catalog: Catalog) -> None:
    plain, chunked = (
        made(catalog, chunked_loss=chunks, method=Method.LORA).memory(layouts()).logits[0] for chunks in (False, True)
    )
    tokens_vocabulary = 4096 * 128256
    assert plain == pytest.approx(10 * tokens_vocabulary)
    # BF16 logits, and of an eighth of them an FP32 copy with its gradient.
    assert chunked == pytest.approx((2 + 8 / 8) * tokens_vocabulary)


def test_a_short_batch_fills_only_part_of_the_pipeline(catalog: Catalog) -> None:
    gpt = job(catalog, model="gpt-3-175b", seq_len_tokens=2048, global_batch_sequences=2)
    layout = layouts(tp=8, pp=8)
    two = activation_bytes(layout, gpt.shape, recipe=gpt.recipe, micro_batches=micro_batches(layout, 2))
    assert two[0] == pytest.approx(32 * 2048 * 12288 / 8 * 12 * 2, rel=1e-6)


def test_lora_keeps_a_frozen_copy_and_trains_adapters_only(catalog: Catalog) -> None:
    lora = job(catalog, method=Method.LORA, lora_rank=16)
    memory = lora.memory(layouts())
    # q, k, v, o and three feed-forward matrices of 32 layers: rank x (in + out) each.
    adapters = 16 * 32 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336))
    assert lora.trained_params == pytest.approx(adapters)
    assert memory.weights[0] == pytest.approx(2 * PARAMS_8B + 2 * adapters, rel=1e-3)
    assert memory.optimizer[0] == pytest.approx(12 * adapters)


def test_adapters_on_attention_leave_what_the_feed_forward_part_needs_alone(catalog: Catalog) -> None:
    every, some = (
        job(catalog, method=Method.LORA, lora_targets=targets).memory(layouts())
        for targets in (LoraTargets.ALL, LoraTargets.ATTENTION)
    )
    # The norm's output and the product of gate and up projection, in BF16, of 32 layers and one sequence.
    unkept = 2 * 32 * 4096 * (4096 + 14336)
    # Nothing of it is stored twice where layers are not fused.
    assert every.activations[0] - some.activations[0] == pytest.approx(unkept)
    assert every.optimizer[0] - some.optimizer[0] == pytest.approx(12 * 16 * 32 * 3 * (4096 + 14336))


def test_experts_have_adapters_of_their_own(catalog: Catalog) -> None:
    shape = job(catalog, model="qwen3-30b-a3b", method=Method.LORA).shape
    assert shape.routed_adapter_params_per_rank == 48 * 128 * 3 * (2048 + 768)


def test_the_memory_of_an_answer_is_the_median_of_measured_peaks(catalog: Catalog) -> None:
    found = job(catalog)
    memory = found.memory(layouts())
    assert memory.allocated[0] / memory.computed[0] == pytest.approx(math.exp(found.memory_spread.shift))
    room = found.usable_bytes(memory.total)
    assert found.fit_confidence(memory.total, room)[0] == pytest.approx(found.memory_confidence_fraction, abs=1e-6)
    assert found.usable_bytes(memory.total, stated=True)[0] == pytest.approx(memory.total[0])


def test_qlora_holds_the_base_in_four_bits_and_dpo_a_second_copy(catalog: Catalog) -> None:
    full = job(catalog).memory(layouts())
    qlora = job(catalog, method=Method.QLORA).memory(layouts())
    dpo = job(catalog, method=Method.DPO).memory(layouts())
    # Embedding and head, 128,256 x 4,096 each, stay in 16 bit.
    tables = 2 * 128_256 * 4096 / GB
    assert qlora.weights[0] / GB == pytest.approx(0.5625 * (8.03 - tables) + 2 * tables + 2 * 0.042, rel=0.01)
    assert dpo.weights[0] == pytest.approx(2 * full.weights[0])
    assert dpo.optimizer[0] == full.optimizer[0]


def test_experts_are_spread_over_expert_ranks_and_shared_by_the_rest(catalog: Catalog) -> None:
    shape = job(catalog, model="deepseek-v3").shape
    layout = layouts(pp=2, ep=32, dp=128)
    dense, routed = params_gpu(layout, shape)
    share = stage_layers_fraction(layout, shape.layers)[0]
    assert routed[0] == pytest.approx(shape.routed_params * share / 32)
    assert dense[0] == pytest.approx(shape.dense_params * share + shape.embedding_params)
    assert expert_data_ranks(layout)[0] == 4


def test_uneven_stages_cost_a_whole_layer(catalog: Catalog) -> None:
    del catalog
    # 126 layers and both ends make 128 slots: 16 stages are even. 61 layers in 4 x 4 chunks take 4 each: 16 on a stage.
    assert stage_layers_fraction(layouts(pp=16), 126.0)[0] == pytest.approx(8 / 126)
    assert stage_layers_fraction(layouts(pp=4, vpp=4), 61.0)[0] == pytest.approx(16 / 61)


def test_a_run_that_loads_whole_weights_holds_a_copy_and_its_shard(catalog: Catalog) -> None:
    tuned = job(catalog, method=Method.LORA, seq_len_tokens=128)
    plain = tuned.memory(layouts(dp=2, sharding=3, recompute=2))
    loading = replace(tuned, loads_whole=True).memory(layouts(dp=2, sharding=3, recompute=2))
    assert plain.loading[0] == 0.0
    # The shard is half of the copy, and the adapters are small.
    assert loading.computed[0] == pytest.approx(1.5 * 2.0 * PARAMS_8B + loading.gathered[0], rel=0.01)
    # A step of long sequences takes more than loading does, and what is not sharded is loaded in place.
    long = replace(job(catalog, method=Method.LORA, seq_len_tokens=32768), loads_whole=True)
    assert long.memory(layouts(dp=2, sharding=3)).loading[0] == 0.0
    assert replace(tuned, loads_whole=True).memory(layouts(dp=2, sharding=1)).loading[0] == 0.0


@pytest.mark.parametrize(("targets", "inputs"), [(LoraTargets.ATTENTION, 1), (LoraTargets.ALL, 2)])
def test_adapters_keep_the_gathered_inputs_of_split_sequences(
    catalog: Catalog, targets: LoraTargets, inputs: int
) -> None:
    tuned = job(catalog, method=Method.LORA, lora_targets=targets)
    found, plain = (
        activation_bytes(layouts(tp=2), one.shape, recipe=one.recipe, micro_batches=np.array([1]))[0]
        for one in (tuned, replace(tuned, recipe=replace(tuned.recipe, is_adapter=False)))
    )
    assert found - plain == pytest.approx(inputs * 32 * 2.0 * 4096 * 4096)
