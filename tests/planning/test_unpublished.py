"""What a training run did not publish follows from the rest of it."""

import pytest

from service.planning.rerun import unpublished
from service.planning.rerun.publication import is_compiled, month_of, software_month
from service.planning.rerun.training import evaluate_training, training_metrics
from service.schemas.measured import MeasuredTraining, PublishedTrainer, PublishedTraining
from service.sizing.calibration import Release
from service.sizing.precision import Precision
from service.sizing.workload import Deployment, LoraTargets, Method, Optimizer, Recompute, Sharding, TrainingWorkload
from tests.facts import own_catalog

CATALOG = own_catalog()


def run(*, workload: dict[str, object], deployment: dict[str, object], **others: object) -> MeasuredTraining:
    """A published run of an 8-billion-parameter model."""
    return MeasuredTraining(
        id="x",
        measured={},
        workload=PublishedTraining(**({"model": "llama-3.1-8b", "method": Method.PRETRAIN} | workload)),
        deployment=PublishedTrainer(**({"gpu": "h100-sxm"} | deployment)),
        **others,
    )


@pytest.mark.parametrize(
    ("published", "month"),
    [
        ("2025-06", "2025-06"),
        ("2023-20", "2023-06"),
        ("2023", "2023-06"),
        ("soon", None),
        ("1066-10", None),
        (None, None),
    ],
)
def test_a_month_is_read_or_the_middle_of_its_year_taken(published: str | None, month: str | None) -> None:
    assert month_of(published) == month


def test_nobody_trains_a_model_before_it_came_out() -> None:
    assert month_of("2024", "2024-07") == "2024-09"
    assert month_of("2024", "2024-12-26") == "2024-12"
    # Where nothing is wrong with the middle of the year it stays.
    assert month_of("2024", "2024-04") == month_of("2024", "2023-12") == "2024-06"
    assert month_of("2024-08", "2024-11") == "2024-08"


RELEASES = {
    (engine, version): Release(engine=engine, version=version, month=month)
    for engine, version, month in (
        ("tensorrt-llm", "1.0", "2025-09"),
        ("tensorrt-llm", "1.0.0rc3", "2025-07"),
        ("sglang", "0.5.1", "2025-08"),
        ("vllm", "0.12", "2025-12"),
    )
}


@pytest.mark.parametrize(
    ("software", "month"),
    [
        ("trtllm 1.0.0rc3", "2025-07"),
        ("TensorRT-LLM 1.0 (PyTorch backend)", "2025-09"),
        ("vLLM 0.12.0, CUDA 13.0", "2025-12"),
        ("sglang 0.5.1.post1", "2025-08"),
        # Another version, a shell with versions of its own, nothing, and a range of months.
        ("sglang 0.5.16", "2026-04"),
        ("dynamo-trtllm 1.0", "2026-04"),
        (None, "2026-04"),
        ("SGLang (2025-10..2026-03)", "2025-12"),
        # What is not out yet is not published.
        ("vllm (2026-08)", "2026-04"),
    ],
)
def test_software_is_as_old_as_its_version(software: str | None, month: str) -> None:
    assert software_month(software, "2026-04", RELEASES) == month


def test_software_may_be_dated_where_its_publication_is_not() -> None:
    assert software_month("vllm 0.12.1", None, RELEASES) == "2025-12"
    assert software_month("vllm", None, RELEASES) is None


@pytest.mark.parametrize(
    ("software", "compiled"),
    [
        ("TensorRT 10.11, CUDA 12.9", True),
        ("TensorRT-LLM 1.0 (PyTorch backend)", False),
        ("trtllm 1.2.0rc2", False),
        ("vLLM 0.12.0, CUDA 13.0", False),
        (None, False),
    ],
)
def test_software_that_is_a_compiler_launches_passes_as_graphs(software: str | None, compiled: bool) -> None:
    assert is_compiled(software) is compiled


def test_data_ranks_and_micro_batch_follow_from_batch_and_accumulation() -> None:
    accumulated = {"gpus": 8, "gradient_accumulation": 4}
    assert unpublished.data_ranks(run(workload={"global_batch_sequences": 8}, deployment=accumulated)) is None
    said = accumulated | {"micro_batch": 1}
    assert unpublished.data_ranks(run(workload={"global_batch_sequences": 8}, deployment=said)) == 2
    alone = {"gpus": 4, "gradient_accumulation": 1}
    assert unpublished.micro_batch(run(workload={"global_batch_sequences": 576}, deployment=alone)) == 144


def test_a_format_that_nobody_states_is_that_of_most_such_runs() -> None:
    pretrained = run(workload={}, deployment={})
    assert unpublished.precision(CATALOG, pretrained, "h100-sxm", plain_stack=False) is Precision.FP8
    assert unpublished.precision(CATALOG, pretrained, "h100-sxm", plain_stack=True) is Precision.BF16
    assert unpublished.precision(CATALOG, pretrained, "a100-80gb", plain_stack=False) is Precision.BF16
    tuned = run(workload={"method": Method.LORA}, deployment={})
    assert unpublished.precision(CATALOG, tuned, "h100-sxm", plain_stack=False) is Precision.BF16


def test_short_examples_set_the_pace_and_the_longest_the_peak() -> None:
    found = evaluate_training(CATALOG, run(workload={"method": Method.LORA}, deployment={"gpus": 1, "micro_batch": 1}))
    assert found.pace is not None
    used = {part.part: part.gb for part in found.pace.memory_gb_gpu}
    peak = {part.part: part.gb for part in found.estimate.memory_gb_gpu}
    assert peak["activations"] > 5 * used["activations"]
    assert found.estimate.layout.recompute == Recompute.NONE


def test_plain_tuning_on_several_gpus_shards_as_its_tools_do() -> None:
    tuned = run(workload={"method": Method.LORA}, deployment={"gpus": 2, "micro_batch": 1})
    found = evaluate_training(CATALOG, tuned)
    assert found.estimate.layout.sharding == Sharding.ZERO3
    assert found.estimate.layout.recompute == Recompute.FULL
    peak = {part.part: part.gb for part in found.estimate.memory_gb_gpu}
    # Whole weights of 8 billion parameters in 16 bit stand beside the half of them that is kept.
    assert peak["weights"] + peak["loading"] > 20.0


def test_tuning_that_does_not_fit_while_it_loads_does_not_fit() -> None:
    tuned = run(
        workload={"model": "llama-2-13b", "method": Method.LORA},
        deployment={"gpu": "a100-40gb", "gpus": 2, "micro_batch": 1},
    )
    assert not evaluate_training(CATALOG, tuned).estimate.fits


def test_tuning_that_states_lengths_alone_makes_layers_again_and_splits_nothing() -> None:
    lengths = {"method": Method.LORA, "seq_len_tokens": 2048, "global_batch_sequences": 8}
    found = evaluate_training(CATALOG, run(workload=lengths, deployment={"gpus": 8}))
    layout = found.estimate.layout
    # Its peak of memory rests on what nobody said.
    unsaid = {default.field for default in found.rerun.defaults_of("peak_memory_gb")}
    memory_alone = {"deployment.recompute", "deployment.sharding", "workload.optimizer"}
    assert memory_alone <= unsaid
    # Its pace does not.
    assert not memory_alone & {default.field for default in found.rerun.defaults_of("tokens_s")}
    assert (layout.tp, layout.pp, layout.cp, layout.dp) == (1, 1, 1, 8)
    assert layout.recompute == Recompute.FULL
    # A recipe for a race, reinforcement learning and whoever says how it went are left as they are.
    for workload, deployment in (
        (lengths | {"samples_to_target": 3000.0}, {"gpus": 8}),
        (lengths | {"method": Method.GRPO}, {"gpus": 8}),
        (lengths, {"gpus": 8, "recompute": Recompute.NONE}),
        (lengths, {"gpus": 8, "tp": 2}),
    ):
        assert not unpublished.tunes_by_default(run(workload=workload, deployment=deployment))


def test_tuning_that_splits_a_model_packs_its_sequences_and_adapts_every_matrix() -> None:
    split = run(workload={"method": Method.LORA}, deployment={"tp": 2})
    found = evaluate_training(CATALOG, split)
    assert isinstance(found.rerun.workload, TrainingWorkload)
    assert found.pace is None
    assert found.rerun.workload.seq_len_tokens == CATALOG.calibration.assumption("evidence.seq_len_tokens")
    assert found.rerun.workload.lora_targets is LoraTargets.ALL
    recipe = run(workload={"method": Method.LORA, "global_batch_sequences": 8}, deployment={"tp": 2, "gpus": 8})
    assert unpublished.lora_targets(recipe) is LoraTargets.ATTENTION


def test_an_encoder_packs_its_texts() -> None:
    encoder = run(
        workload={"model": "bert-large", "seq_len_tokens": 512, "global_batch_sequences": 768}, deployment={"gpus": 8}
    )
    rerun = evaluate_training(CATALOG, encoder).rerun
    assert isinstance(rerun.workload, TrainingWorkload)
    assert 150 < rerun.workload.seq_len_tokens < 300


def test_who_splits_a_model_and_shards_no_more_distributes_the_optimizer() -> None:
    said = {"gpus": 64, "tp": 4, "pp": 2, "sharding": Sharding.NONE}
    assert unpublished.sharding(run(workload={}, deployment=said)) is Sharding.ZERO1
    alone = {"gpus": 8, "sharding": Sharding.NONE}
    assert unpublished.sharding(run(workload={}, deployment=alone)) is Sharding.NONE


def test_ranks_that_are_said_to_share_nothing_share_what_must_be() -> None:
    large = run(
        workload={"model": "llama-3.1-70b", "seq_len_tokens": 4096, "global_batch_sequences": 128},
        deployment={"gpus": 64, "tp": 4, "pp": 2, "sharding": Sharding.NONE},
    )
    found = evaluate_training(CATALOG, large)
    assert found.estimate.fits
    assert found.rerun.deployment.sharding is Sharding.ZERO1


def test_what_is_said_to_make_nothing_again_makes_again_what_it_cannot_have_held() -> None:
    said = {"gpus": 8, "dp": 8, "micro_batch": 4, "sharding": Sharding.ZERO3, "recompute": Recompute.NONE}
    long = run(workload={"seq_len_tokens": 8192}, deployment=said | {"gpu": "h100-sxm", "software": "torchtitan"})
    found = evaluate_training(CATALOG, long)
    assert found.estimate.fits
    assert found.rerun.deployment.recompute is Recompute.FULL
    # Weights and states that do not fit are no matter of what is stored.
    large = run(workload={"model": "llama-3.1-405b", "seq_len_tokens": 8192}, deployment=said | {"gpu": "h100-sxm"})
    unfit = evaluate_training(CATALOG, large)
    assert not unfit.estimate.fits
    assert unfit.rerun.deployment.recompute is Recompute.NONE


def test_tuning_that_says_nothing_of_its_layout_takes_an_optimizer_that_fits() -> None:
    small = run(
        workload={
            "method": Method.SFT,
            "seq_len_tokens": 2048,
            "global_batch_sequences": 2,
            "precision": Precision.BF16,
        },
        deployment={"gpu": "rtx-4090", "gpus": 1},
    )
    found = evaluate_training(CATALOG, small)
    assert found.estimate.fits
    assert isinstance(found.rerun.workload, TrainingWorkload)
    assert found.rerun.workload.optimizer is Optimizer.ADAMW_8BIT_PAGED
    assert "workload.optimizer=adamw_8bit_paged" in {default.word for default in found.rerun.defaults}


def test_layers_as_frameworks_bring_them_are_tuned_without_a_master_copy() -> None:
    tuned = {"method": Method.SFT, "model": "llama-3.1-8b", "seq_len_tokens": 2048, "global_batch_sequences": 2}
    taken = {}
    for software in ("torchtune", "NeMo"):
        found = evaluate_training(
            CATALOG, run(workload=tuned, deployment={"gpu": "b200-sxm", "gpus": 1, "software": software})
        )
        assert isinstance(found.rerun.workload, TrainingWorkload)
        taken[software] = found.rerun.workload.optimizer, found.estimate.memory_gb_gpu
    assert taken["torchtune"][0] is Optimizer.ADAMW_PURE_BF16
    assert taken["NeMo"][0] is Optimizer.AUTO
    plain, fused = (sum(part.gb for part in parts if part.part == "optimizer") for _, parts in taken.values())
    assert fused == pytest.approx(3 * plain, rel=1e-4)


def test_a_run_that_does_not_say_how_long_it_is_has_wide_bounds_on_its_length_alone() -> None:
    asked = {"model": "mistral-7b", "seq_len_tokens": 8192, "global_batch_sequences": 128}
    found = {}
    for samples in (None, 1_000_000):
        one = run(workload=asked | {"samples_to_target": samples}, deployment={"gpus": 64})
        metrics = training_metrics(one, evaluate_training(CATALOG, one))
        found[samples] = {name: metrics[name].interval for name in ("time_to_train_min", "step_time_s")}
    unsaid, said = found[None], found[1_000_000]
    assert unsaid["step_time_s"] == said["step_time_s"]
    ratio = {name: each["time_to_train_min"].p90 / each["time_to_train_min"].p50 for name, each in found.items()}
    # Up to 500 tokens a parameter instead of 20.
    assert ratio[None] > 25
    assert ratio[1_000_000] < 2
    assert unsaid["time_to_train_min"].p10 < unsaid["time_to_train_min"].p50 / 4


def test_degrees_that_no_such_stack_has_are_one() -> None:
    sharded = run(
        workload={"seq_len_tokens": 2048, "global_batch_sequences": 64},
        deployment={"gpus": 64, "sharding": Sharding.ZERO3},
    )
    layout = evaluate_training(CATALOG, sharded).estimate.layout
    assert (layout.tp, layout.pp, layout.cp) == (1, 1, 1)
    split = run(
        workload={"seq_len_tokens": 2048, "global_batch_sequences": 64}, deployment={"gpus": 64, "tp": 2, "pp": 2}
    )
    assert evaluate_training(CATALOG, split).estimate.layout.sharding == Sharding.ZERO1


def test_allocated_and_reserved_are_two_peaks() -> None:
    allocated, reserved = (
        run(workload={}, deployment={"gpus": 8}, memory_statistic=statistic) for statistic in ("allocated", "reserved")
    )
    less, more = (
        training_metrics(one, evaluate_training(CATALOG, one))["peak_memory_gb"].interval.p50
        for one in (allocated, reserved)
    )
    assert less < more


def test_fleets_hold_whole_copies_of_the_model() -> None:
    assert unpublished.fleets(Deployment(gpu="h100-sxm", gpus=0, tp=2, ep=8))[:3] == (8, 16, 32)
