"""What a run leaves open widens its interval by what somebody could have chosen instead."""

from service.planning.rerun.run import SURE
from service.planning.rerun.training import evaluate_training, training_metrics
from service.schemas.measured import MeasuredTraining
from service.sizing.workload import Method, Optimizer, Recompute, Sharding
from tests.planning.test_unpublished import CATALOG, run

_LENGTHS = {"method": Method.SFT, "seq_len_tokens": 4096, "global_batch_sequences": 8}
_STATED = {"gpus": 8, "tp": 1, "pp": 1, "sharding": Sharding.ZERO3, "recompute": Recompute.FULL}


def tuned(**deployment: object) -> MeasuredTraining:
    return run(workload=_LENGTHS, deployment=deployment)


def test_tuning_without_a_layout_holds_the_peaks_and_paces_of_what_it_may_have_chosen() -> None:
    one = tuned(gpus=8)
    found = evaluate_training(CATALOG, one)
    metrics = training_metrics(one, found)
    for recompute in (Recompute.NONE, Recompute.FULL):
        other = evaluate_training(CATALOG, tuned(**(_STATED | {"recompute": recompute})))
        for name in ("peak_memory_gb", "tokens_s"):
            middle = training_metrics(tuned(**_STATED), other)[name].interval.p50
            assert metrics[name].interval.p10 <= middle <= metrics[name].interval.p90
    assert found.open_peak.down + found.open_peak.up > 0.3


def test_nothing_is_open_where_a_layout_is_stated() -> None:
    found = evaluate_training(CATALOG, tuned(**_STATED))
    assert (found.open_peak, found.open_pace) == (SURE, SURE)


def test_a_power_that_nobody_states_is_open() -> None:
    stated = _STATED | {"software": "torchtitan"}
    limited, full = (
        evaluate_training(CATALOG, tuned(**stated, gpu=gpu)) for gpu in ("b200-sxm-power-limited", "b200-sxm")
    )
    assert full.open_pace == SURE
    assert limited.open_pace.up > limited.open_pace.down > 0.05


def test_what_selective_recompute_makes_again_is_open_in_stacks_of_frameworks_alone() -> None:
    selective = _STATED | {"recompute": Recompute.SELECTIVE}
    plain, fused = (
        evaluate_training(CATALOG, tuned(**selective, software=software)) for software in ("torchtitan", "NeMo")
    )
    assert plain.open_peak.down > 0.0
    assert fused.open_peak == SURE


def test_peaks_of_alternatives_are_those_of_the_longest_sequences_too() -> None:
    """Where nobody states a length, typical sequences set the pace and the longest the peak of memory."""
    said = {"gpus": 1, "recompute": Recompute.SELECTIVE, "software": "torchtune"}
    found = evaluate_training(CATALOG, run(workload={"method": Method.LORA}, deployment=said))
    # Who makes nothing again keeps more.
    assert found.open_peak.up > 0.0
    assert found.open_pace.up > 0.0


def test_peaks_hold_losses_in_chunks_that_never_hold_all_logits() -> None:
    one = run(workload=_LENGTHS | {"method": Method.LORA}, deployment={"gpus": 1, "software": "torchtune"})
    found = evaluate_training(CATALOG, one)
    logits = sum(part.gb for part in found.estimate.memory_gb_gpu if part.part == "logits")
    peak = training_metrics(one, found)["peak_memory_gb"].interval
    assert logits > 1.0
    assert peak.p10 <= peak.p50 - logits


def test_moments_that_the_gpu_has_no_room_for_are_paged_on_one_gpu_and_offloaded_by_shards_on_several() -> None:
    """Of 24 GB an 8-billion-parameter model in 16 bit takes two thirds; its moments lie in the host's memory."""
    tune = _LENGTHS | {"global_batch_sequences": 1}
    deployment = {"gpu": "rtx-4090", "gpus": 1, "software": "torchtune"}
    paged = evaluate_training(CATALOG, run(workload=tune, deployment=deployment))
    assert paged.rerun.workload.optimizer is Optimizer.ADAMW_8BIT_PAGED
    # States in FP32 that cross the link, and are not hidden behind gradients, take longer.
    assert paged.open_pace.up > 0.5
    large = tune | {"model": "llama-3.1-70b", "global_batch_sequences": 2, "seq_len_tokens": 2048}
    sharded = run(workload=large, deployment={"gpu": "a100-80gb", "gpus": 8, "software": "torchtune"})
    found = evaluate_training(CATALOG, sharded)
    assert found.rerun.workload.optimizer is Optimizer.ADAMW_HOST
    assert found.estimate.memory_used_gb_gpu < 25.0
    # Fewer sequences than GPUs are those of each.
    assert found.rerun.workload.global_batch_sequences == 16
