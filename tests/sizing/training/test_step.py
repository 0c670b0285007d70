"""Step time: FLOP by hand, and what each part must do when one degree changes."""

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.sizing.place import placed_server
from service.sizing.precision import Precision
from service.sizing.table import build_table
from service.sizing.training.job import Job, job_of, run_rates, table_rates
from service.sizing.training.layouts import Layouts
from service.sizing.training.step import StepTime
from service.sizing.workload import Deployment, Method, Optimizer
from tests.sizing.training.jobs import job, layouts, training_workload


def step(catalog: Catalog, found: Job, columns: Layouts, *, server: str = "poweredge-xe9780-b300") -> StepTime:
    spec = catalog.hardware.server(server)
    table = build_table((spec,), (catalog.hardware.gpu(spec.gpu),))
    rows = np.zeros(len(columns), dtype=np.int64)
    rates = table_rates(found, table, catalog.calibration).take(rows)
    return found.step(columns, run_rates(rates, columns.gpus, table.gpus_server[rows]))


def test_model_flop_of_an_8b_step(catalog: Catalog) -> None:
    found = job(catalog, seq_len_tokens=8192, global_batch_sequences=128)
    # 7.505e9 multiplied parameters; 32 layers of 32 heads x 128, causal half: 8192 x (4096 + 4096) a token and layer.
    token = 3 * (2 * 7.5050e9 + 32 * 8192 * (4096 + 4096))
    assert found.step_flop == pytest.approx(128 * 8192 * token, rel=1e-3)


def test_frozen_weights_save_a_third_and_a_reference_adds_one(catalog: Catalog) -> None:
    full = job(catalog).step_flop
    assert job(catalog, method=Method.LORA).step_flop == pytest.approx(full * 2 / 3)
    assert job(catalog, method=Method.DPO).step_flop == pytest.approx(full * 4 / 3)


def test_bubble_is_stages_less_one_over_chunks(catalog: Catalog) -> None:
    found = job(catalog, model="llama-3.1-70b", global_batch_sequences=64)
    plain = step(catalog, found, layouts(pp=4, dp=2, sharding=1))
    chunked = step(catalog, found, layouts(pp=4, vpp=5, dp=2, sharding=1))
    working = plain.total - plain.bubble - plain.data - plain.optimizer - plain.slowest
    # Fixed work of a step is no micro-batch, so the share is a little under (p - 1) / m.
    assert plain.bubble[0] / working[0] == pytest.approx(3 / 32, rel=0.05)
    assert chunked.bubble[0] < plain.bubble[0] / 4


def test_full_recompute_adds_one_forward(catalog: Catalog) -> None:
    found = job(catalog)
    none, full = step(catalog, found, layouts(dp=8, sharding=1, recompute=[0, 2])).products
    assert 1.2 < full / none < 4 / 3


def test_experts_across_servers_cost_more_than_inside_a_rack(catalog: Catalog) -> None:
    found = job(catalog, model="deepseek-v3", precision=Precision.FP8, global_batch_sequences=4096)
    columns = layouts(pp=4, vpp=4, ep=64, dp=64, sharding=1)
    inside = step(catalog, found, columns, server="poweredge-xe9712-gb200").expert[0]
    across = step(catalog, found, columns, server="poweredge-xe9680l-b200").expert[0]
    assert across > 2 * inside


def test_small_models_stop_scaling(catalog: Catalog) -> None:
    # 512 tokens are left to each of 4,096 GPUs.
    found = job(catalog, model="llama-3.2-3b", global_batch_sequences=4096, seq_len_tokens=512)
    few, many = step(catalog, found, layouts(dp=[8, 4096], sharding=1)).total
    assert few / many < 0.5 * 4096 / 8


def test_states_in_host_memory_cross_its_link(catalog: Catalog) -> None:
    near, far = (
        step(catalog, job(catalog, optimizer=optimizer), layouts(dp=8, sharding=1)).optimizer[0]
        for optimizer in (Optimizer.ADAMW_FP32, Optimizer.ADAMW_HOST)
    )
    # 8.03e9 / 8 parameters x 12 bytes at 20 GB/s.
    assert far == pytest.approx(8.0303e9 / 8 * 12 / 20e9, rel=0.02)
    assert far > 10 * near


def test_rollouts_are_decoded_on_the_gpus_that_train(catalog: Catalog) -> None:
    tuned = step(catalog, job(catalog, method=Method.SFT), layouts(dp=8, sharding=1))
    rolled = step(catalog, job(catalog, method=Method.GRPO), layouts(dp=[8, 16], sharding=1))
    assert tuned.rollout[0] == 0.0
    assert rolled.rollout[0] > rolled.rollout[1] > 0.0
    assert rolled.total[0] > tuned.total[0] + rolled.rollout[0]


def test_a_mesh_serves_a_pair_with_its_share_of_the_links(catalog: Catalog) -> None:
    found = job(catalog, model="llama-3.1-70b")
    pair, all_four = (
        step(catalog, found, layouts(tp=tp, dp=2, sharding=1), server="poweredge-xe8712-gb200").tensor[0]
        for tp in (2, 4)
    )
    # Half of the buffer over one of three links, three quarters over all of them; latency is the same.
    assert pair / all_four == pytest.approx(2.0, rel=0.1)


def test_parts_add_up(catalog: Catalog) -> None:
    found = step(catalog, job(catalog), layouts(tp=2, pp=2, dp=2, sharding=1))
    assert found.total[0] == pytest.approx(sum(float(np.ravel(getattr(found, n))[0]) for n in StepTime.__slots__))


def plain_job(
    catalog: Catalog, *, month: str | None, plain_stack: bool, vendor_kernels: bool = False, **changes: object
) -> Job:
    workload = training_workload(**changes)
    architecture = catalog.models[str(workload.model)].architecture
    stack = {"plain_stack": plain_stack, "vendor_kernels": vendor_kernels}
    return job_of(workload, architecture, catalog.calibration, month=month, **stack)


def test_frameworks_bring_attention_that_lags_on_new_generations_and_lagged_on_all_before_its_second_version(
    catalog: Catalog,
) -> None:
    def lag(server: str, month: str | None) -> float:
        plain, fused = (
            step(catalog, plain_job(catalog, month=month, plain_stack=stack), layouts(dp=8, sharding=3), server=server)
            for stack in (True, False)
        )
        assert plain.traffic[0] > fused.traffic[0]
        assert plain.products[0] == fused.products[0]
        return float(plain.attention[0] / fused.attention[0])

    new, old = "poweredge-xe9680-h100", "poweredge-xe9680-a100-80gb"
    assert lag(old, "2024-01") == 1.0
    assert lag(new, "2024-01") > 1.3
    assert lag(old, "2023-01") == pytest.approx(lag(new, "2023-01") / lag(new, "2024-01"))
    # Since PyTorch 2.9 a vendor's attention comes first.
    assert lag(new, None) == 1.0
    assert lag(old, "2023-01") > 1.2


def test_masks_that_are_more_than_causal_lag_with_newer_frameworks_too(catalog: Catalog) -> None:
    columns = layouts(dp=8, ep=8, sharding=3)
    for model, lags in (("gpt-oss-120b", True), ("qwen3-30b-a3b", False)):
        stacks = (
            plain_job(catalog, month=None, model=model, plain_stack=True, vendor_kernels=kernels)
            for kernels in (False, True)
        )
        own, vendors = (step(catalog, found, columns).attention[0] for found in stacks)
        assert bool(own > 1.3 * vendors) is lags


def test_layers_that_are_composed_of_small_kernels_move_more(catalog: Catalog) -> None:
    columns = layouts(dp=8, sharding=3)

    def traffic(month: str, *, model: str = "llama-3.1-8b", **stack: bool) -> float:
        found = plain_job(catalog, month=month, model=model, **stack)
        return float(step(catalog, found, columns, server="poweredge-xe9680-h100").traffic[0])

    composed, ours = traffic("2025-06", plain_stack=True), traffic("2025-06", plain_stack=True, vendor_kernels=True)
    assert composed > 1.8 * ours
    # Norms came in one kernel with PyTorch 2.9; layer norms and ungated layers always did.
    assert traffic("2025-12", plain_stack=True) < 0.8 * composed
    mpt = {stack: traffic("2025-06", model="mpt-7b", plain_stack=stack) for stack in (True, False)}
    assert mpt[True] / mpt[False] == pytest.approx(
        catalog.calibration.coefficient("training.plain_vector_factor"), rel=1e-6
    )


def test_a_gpu_that_is_held_to_less_power_multiplies_slower(catalog: Catalog) -> None:
    placed = (placed_server(Deployment(gpu=gpu, gpus=8), catalog.hardware) for gpu in ("h100-sxm", "h100-sxm-96gb"))
    full, held = (
        table_rates(job(catalog), build_table((server,), (spec,)), catalog.calibration) for server, spec, _ in placed
    )
    # 500 of 700 W, a quarter of which no clock changes.
    clock = ((500 / 700 - 0.25) / 0.75) ** 0.4
    for curves in ("products", "attention"):
        slower = getattr(held, curves).flop_s[0] / getattr(full, curves).flop_s[0]
        assert slower == pytest.approx(clock, rel=1e-3)


def test_a_card_that_outruns_its_data_sheet_sustains_a_share_of_what_it_reaches(catalog: Catalog) -> None:
    share = catalog.calibration.assumption("training.unmeasured_peak_fraction")
    sustained = {}
    for gpu in ("rtx-4090", "l40s"):
        server, spec, _ = placed_server(Deployment(gpu=gpu, gpus=1), catalog.hardware)
        rates = table_rates(job(catalog), build_table((server,), (spec,)), catalog.calibration)
        sustained[gpu] = rates.products.flop_s[0] / rates.peak_flop_s[0]
    assert share < sustained["rtx-4090"] < 1.08
    # Power leaves an L40S less than that.
    assert sustained["l40s"] < share


def test_selective_recompute_of_a_framework_multiplies_again(catalog: Catalog) -> None:
    columns = layouts(dp=8, sharding=3, recompute=[0, 1])
    none, plain = step(catalog, plain_job(catalog, month=None, plain_stack=True), columns).products
    bare, fused = step(catalog, plain_job(catalog, month=None, plain_stack=False), columns).products
    assert fused == bare
    assert 1.05 < plain / none < 1.2


def test_experts_with_biases_move_their_outputs_until_a_kernel_fuses_them(catalog: Catalog) -> None:
    def traffic(precision: Precision, month: str) -> float:
        found = plain_job(catalog, month=month, plain_stack=False, model="gpt-oss-120b", precision=precision)
        return float(step(catalog, found, layouts(ep=8, dp=8, sharding=1)).traffic[0]) / found.coefficients.vintage

    assert traffic(Precision.FP8, "2026-06") < 0.7 * traffic(Precision.FP8, "2026-02")
    assert traffic(Precision.BF16, "2026-06") == pytest.approx(traffic(Precision.BF16, "2026-02"))


def fixed_s(catalog: Catalog, server: str, *, plain_stack: bool, model: str = "qwen3-30b-a3b") -> float:
    """A step of so few tokens that launches are nearly all that it takes."""
    found = plain_job(catalog, month=None, plain_stack=plain_stack, model=model, seq_len_tokens=256)
    ep = 8 if found.shape.is_moe else 1
    return float(step(catalog, found, layouts(ep=ep, dp=8, sharding=1), server=server).fixed[0])


def test_recipes_for_blackwell_capture_layers_as_graphs_which_frameworks_do_not(catalog: Catalog) -> None:
    hopper, server, rack = "poweredge-xe9680-h100", "poweredge-xe9680l-b200", "poweredge-xe9712-gb200"
    assert fixed_s(catalog, server, plain_stack=False) < 0.7 * fixed_s(catalog, hopper, plain_stack=False)
    assert fixed_s(catalog, rack, plain_stack=False) == pytest.approx(
        fixed_s(catalog, server, plain_stack=False), rel=0.1
    )
    assert fixed_s(catalog, server, plain_stack=True) == pytest.approx(
        fixed_s(catalog, hopper, plain_stack=True), rel=0.1
    )


def test_layers_as_frameworks_bring_them_launch_more(catalog: Catalog) -> None:
    hopper = "poweredge-xe9680-h100"
    plain, fused = (fixed_s(catalog, hopper, plain_stack=stack, model="llama-3.2-3b") for stack in (True, False))
    assert plain > 1.5 * fused


def test_frozen_weights_in_4_bits_are_unpacked_for_every_micro_batch(catalog: Catalog) -> None:
    columns = layouts(dp=8, sharding=1, micro_batch=[1, 2])
    packed, wide = (step(catalog, job(catalog, method=m), columns).traffic for m in (Method.QLORA, Method.LORA))
    one, two = packed - wide
    # Two passes over 6.98e9 parameters of layers, 0.5625 bytes read and 2 written, 8 TB/s at most, 16 micro-batches.
    rounds = 128 / 8
    assert one > rounds * 2 * 6.98e9 * 2.5625 / 8e12
    assert two == pytest.approx(one / 2)


def test_each_expert_of_a_gpu_is_work_once_a_step_where_it_trains(catalog: Catalog) -> None:
    def fixed(**changes: object) -> float:
        # One round: what is left of more of them are launches.
        found = plain_job(catalog, month=None, plain_stack=False, model="qwen3-30b-a3b", **changes)
        one, two = step(catalog, found, layouts(ep=8, dp=[512, 256], sharding=1)).fixed
        return float(2.0 * one - two)

    once = catalog.calibration.coefficient("training.expert_step_us") * 1e-6 * 16 * 48
    always = catalog.calibration.coefficient("training.fixed_step_ms") * 1e-3
    assert fixed() == pytest.approx(once + always, rel=1e-6)
    assert fixed(method=Method.LORA) == pytest.approx(always, rel=1e-6)


def test_chunks_of_a_stage_hide_experts_across_servers_and_not_inside(catalog: Catalog) -> None:
    found = job(catalog, model="deepseek-v3", precision=Precision.FP8, global_batch_sequences=4096)

    def kept(server: str) -> float:
        one, several = step(catalog, found, layouts(pp=4, vpp=[1, 4], ep=64, dp=64, sharding=1), server=server).expert
        return float(several / one)

    shown = catalog.calibration.coefficient("training.ep_overlapped_fraction")
    assert kept("poweredge-xe9680l-b200") == pytest.approx(shown * kept("poweredge-xe9712-gb200"))
    assert shown < 1.0


def test_frozen_weights_save_matrix_products_and_nothing_else(catalog: Catalog) -> None:
    columns = layouts(tp=2, pp=2, cp=2, dp=2, sharding=1)
    found = {m: step(catalog, job(catalog, method=m), columns) for m in (Method.PRETRAIN, Method.LORA)}
    whole, frozen = found[Method.PRETRAIN], found[Method.LORA]
    for part in ("attention", "tensor", "context", "pipeline"):
        assert getattr(frozen, part)[0] == pytest.approx(getattr(whole, part)[0]), part
    # Adapters read what their matrices take and add to what they give.
    assert frozen.traffic[0] > whole.traffic[0]
    assert frozen.products[0] < whole.products[0]


def test_gradients_are_added_to_in_memory(catalog: Catalog) -> None:
    def over_frozen(length: int) -> float:
        trained, frozen = (
            job(catalog, method=m, seq_len_tokens=length, global_batch_sequences=64)
            for m in (Method.PRETRAIN, Method.LORA)
        )
        columns = layouts(dp=8, sharding=1)
        # The head's gradient goes with what is trained; adapters multiply along.
        plain = step(catalog, frozen, columns).products[0] / frozen.coefficients.adapter_factor
        return float(step(catalog, trained, columns).products[0] / plain)

    # Three passes over two, and what the third writes: the more, the fewer tokens it has.
    assert over_frozen(512) > 1.1 * over_frozen(8192)
    assert over_frozen(8192) > 1.4


def test_software_gets_faster_at_all_but_dense_products_and_attention(catalog: Catalog) -> None:
    def parts(model: str, month: str) -> StepTime:
        columns = layouts(tp=2, ep=8 if model.startswith("qwen") else 1, dp=4, sharding=1)
        return step(catalog, plain_job(catalog, month=month, plain_stack=False, model=model), columns)

    old, new = parts("llama-3.1-8b", "2024-01"), parts("llama-3.1-8b", "2026-01")
    assert old.products[0] == new.products[0]
    assert old.attention[0] == new.attention[0]
    assert min(old.traffic[0] / new.traffic[0], old.tensor[0] / new.tensor[0], old.data[0] / new.data[0]) > 1.1
    old, new = parts("qwen3-30b-a3b", "2024-01"), parts("qwen3-30b-a3b", "2026-01")
    assert old.products[0] > 1.05 * new.products[0]


def test_scores_move_where_software_is_older_than_fused_attention(catalog: Catalog) -> None:
    def traffic(month: str, length: int, recompute: int = 0) -> float:
        found = plain_job(
            catalog, month=month, plain_stack=False, seq_len_tokens=length, global_batch_sequences=2**18 // length
        )
        columns = layouts(dp=8, sharding=1, recompute=recompute)
        return float(step(catalog, found, columns).traffic[0]) / found.coefficients.vintage

    # As many tokens in all: of scores a longer sequence has more.
    assert traffic("2022-07", 8192) == pytest.approx(traffic("2022-07", 1024))
    assert traffic("2022-01", 8192) > 3.0 * traffic("2022-01", 1024)
    assert traffic("2022-01", 1024) > 1.2 * traffic("2022-07", 1024)
    again = traffic("2022-01", 8192, recompute=1) - traffic("2022-07", 8192, recompute=1)
    once = traffic("2022-01", 8192) - traffic("2022-07", 8192)
    assert again == pytest.approx(once * 4 / 3)


def test_hand_overs_hide_behind_another_chunk_alone(catalog: Catalog) -> None:
    found = job(catalog, model="llama-3.1-70b", global_batch_sequences=64)
    one = step(catalog, found, layouts(pp=4, dp=2, sharding=1)).pipeline[0]
    several = step(catalog, found, layouts(pp=4, vpp=2, dp=2, sharding=1)).pipeline[0]
    assert several == pytest.approx(2.0 * found.coefficients.pp_exposed * one)


def test_frameworks_multiply_all_experts_of_a_gpu_in_one_kernel(catalog: Catalog) -> None:
    def waiting(ep: int, *, plain_stack: bool) -> float:
        found = plain_job(
            catalog,
            month=None,
            plain_stack=plain_stack,
            model="qwen3-30b-a3b",
            method=Method.LORA,
            seq_len_tokens=256,
        )
        return float(step(catalog, found, layouts(ep=ep, dp=8, sharding=1), server="poweredge-xe9680-h100").fixed[0])

    assert waiting(1, plain_stack=False) > 1.5 * waiting(8, plain_stack=False)
    assert waiting(1, plain_stack=True) < 1.1 * waiting(8, plain_stack=True)


def test_recurrences_take_one_token_after_another(catalog: Catalog) -> None:
    found = job(catalog, model="nemotron-3-nano-30b-a3b", seq_len_tokens=8192, global_batch_sequences=64)
    spec = catalog.hardware.server("poweredge-xe9780-b300")
    table = build_table((spec,), (catalog.hardware.gpu(spec.gpu),))
    depth_s = float(table_rates(found, table, catalog.calibration).scan.depth_s[0])
    assert depth_s > 0.0
    took_s = float(step(catalog, found, layouts(ep=8, dp=8, sharding=1)).attention[0]) / 8
    # Forward, and two and a half times as much for gradients.
    assert took_s > 3.5 * found.coefficients.scan_factor * found.shape.scan_layers * 8192 * depth_s


def test_state_and_keys_of_recurrences_by_hand(catalog: Catalog) -> None:
    shape = job(catalog, model="nemotron-3-nano-30b-a3b").shape
    # 23 layers of 64 heads x 64 with a state of 128, keys in 8 groups.
    assert shape.scan_state_elements == 23 * 64 * 64 * 128
    assert shape.scan_side_elements_token == 23 * 2 * (64 * 64 + 8 * 128)


def test_more_gpus_wait_longer_for_the_slowest_and_one_waits_for_none(catalog: Catalog) -> None:
    alone = step(catalog, job(catalog, global_batch_sequences=64), layouts(dp=1, sharding=1))
    assert alone.slowest[0] == 0.0
    # Of the same work each, by the root of the logarithm: 8 to 512 GPUs.
    few, many = (
        step(catalog, job(catalog, global_batch_sequences=4 * gpus), layouts(dp=gpus, sharding=1)) for gpus in (8, 512)
    )
    assert many.products[0] == pytest.approx(few.products[0])
    assert many.slowest[0] / few.slowest[0] == pytest.approx(np.sqrt(np.log(512) / np.log(8)))
    assert 0.01 < many.slowest[0] / many.total[0] < 0.2


def test_a_forward_pass_made_again_takes_less_than_a_third_and_a_training_still_three(catalog: Catalog) -> None:
    found = job(catalog)
    none, full = (
        step(catalog, found, layouts(dp=8, sharding=1, recompute=recompute)).attention[0] for recompute in (0, 2)
    )
    forward = catalog.calibration.coefficient("training.forward_factor")
    assert forward < 1.0
    # Attention makes its scores again in its backward pass: three and a half without recompute.
    assert full / none == pytest.approx(1.0 + forward / 3.5)


def test_frameworks_stop_making_a_layer_again_before_its_last_product(catalog: Catalog) -> None:
    def again(method: Method, *, plain_stack: bool) -> float:
        found = plain_job(catalog, month=None, plain_stack=plain_stack, method=method)
        none, full = step(catalog, found, layouts(dp=8, sharding=3, recompute=[0, 2])).products
        return float(full - none)

    shape = job(catalog).shape
    # 32 layers of 4096 x 14336 of 6.98e9 parameters.
    assert shape.last_params / shape.dense_params == pytest.approx(32 * 4096 * 14336 / 6.98e9, rel=0.01)
    ratio = again(Method.PRETRAIN, plain_stack=True) / again(Method.PRETRAIN, plain_stack=False)
    assert ratio == pytest.approx(1.0 - shape.last_params / shape.dense_params, rel=0.01)
    assert again(Method.LORA, plain_stack=True) == pytest.approx(again(Method.LORA, plain_stack=False))


def test_frameworks_scale_into_eight_bits_in_kernels_apart_since_they_do_so_themselves(catalog: Catalog) -> None:
    def traffic(precision: Precision, month: str | None, *, vendor_kernels: bool = False) -> float:
        stack = {"plain_stack": True, "vendor_kernels": vendor_kernels, "precision": precision}
        found = plain_job(catalog, month=month, **stack)
        return float(step(catalog, found, layouts(dp=8, sharding=3)).traffic[0])

    narrow, fused = (traffic(Precision.FP8, None, vendor_kernels=apart) for apart in (False, True))
    assert narrow > 1.5 * fused
    # Transformer Engine did it before, fused.
    assert traffic(Precision.FP8, "2024-03") < narrow
