"""A race to a published target is as long as its rule scores it, and stops to evaluate as its rule says."""

import pytest

from service.planning.rerun import race, unpublished
from service.planning.rerun.target import scored_sequences
from service.planning.rerun.training import evaluate_training, training_metrics
from service.schemas.measured import MeasuredTraining
from service.sizing.calibration import Evaluations
from service.sizing.result import ParallelLayout
from service.sizing.workload import Method, TrainingWorkload
from tests.facts import own_catalog
from tests.planning.test_unpublished import run

CATALOG = own_catalog()
BERT = CATALOG.models["bert-large"].architecture
RULE = Evaluations(
    model="x",
    method="pretrain",
    every_sequences=384,
    sequences=173,
    skipped=2,
    skipped_batch_sequence=0.125,
    source="a test",
)


def of_bert(batch: int, **workload: object) -> MeasuredTraining:
    return run(
        workload={"model": "bert-large", "global_batch_sequences": batch, "seq_len_tokens": 512, **workload},
        deployment={"gpus": 8},
    )


def tokens(one: MeasuredTraining) -> float:
    return unpublished.tokens(one, BERT, CATALOG.calibration, method=Method.PRETRAIN, length=1)


@pytest.mark.parametrize(("batch", "sequences"), [(256, 2552704), (8192, 4191437), (100_000, 5504307), (1, 2410630)])
def test_a_race_that_says_no_length_is_as_long_as_its_reference(batch: int, sequences: int) -> None:
    assert tokens(of_bert(batch)) == pytest.approx(sequences, rel=1e-6)


def test_without_a_reference_it_is_as_long_as_the_least_that_is_scored() -> None:
    # The checker's own means: those at 1536, 3072 and 4096 took more than the line from 448 to 4608.
    line = 2410630 + (768 - 448) / (4608 - 448) * (2794752 - 2410630)
    assert tokens(of_bert(768)) == pytest.approx(line, rel=1e-6)
    taken = [tokens(of_bert(batch)) for batch in (4608, 5000, 6000, 6500)]
    assert taken == sorted(taken)


def test_who_took_fewer_is_scored_with_the_reference_and_who_took_more_with_that() -> None:
    targets = CATALOG.calibration.targets["llama-2-70b", "lora"]
    # That at 32 took more than the line from 16 to 128; that at 16 less than the line from 8 to 32.
    assert scored_sequences(targets, 16) == 4051
    assert scored_sequences(targets, 32) == pytest.approx(4051 + 16 / 112 * (11290 - 4051))
    assert tokens(of_bert(768, samples_to_target=2_300_000)) == pytest.approx(2_440_178, rel=1e-4)
    assert tokens(of_bert(768, samples_to_target=2_900_000)) == 2_900_000
    stated = of_bert(768, samples_to_target=2_900_000)
    assert unpublished.length_spread(stated, BERT, CATALOG.calibration, method=Method.PRETRAIN).up == 0.0
    assert unpublished.length_spread(of_bert(768), BERT, CATALOG.calibration, method=Method.PRETRAIN).up > 0.0


def test_evaluations_come_as_often_as_whole_steps_let_them_and_the_first_are_left_out() -> None:
    assert race.evaluations(RULE, sequences=3072, batch_sequences=8) == 3072 / 384 - 3
    # Nine steps of 45 are 405 sequences; 2 + 0.125 x 45 are seven.
    assert race.evaluations(RULE, sequences=8100, batch_sequences=45) == 8100 / 405 - 7
    assert race.evaluations(RULE, sequences=384, batch_sequences=8) == 1.0


def test_an_evaluation_is_a_forward_pass_of_micro_batches_that_hold_its_sequences() -> None:
    flat = ParallelLayout(dp=8, micro_batch=1)
    assert race.evaluation_steps(RULE, flat, batch_sequences=16, method=Method.PRETRAIN) == pytest.approx(22 / 2 / 3)
    again = ParallelLayout(dp=8, micro_batch=1, recompute="full", recompute_fraction=0.5)
    assert race.evaluation_steps(RULE, again, batch_sequences=16, method=Method.PRETRAIN) == pytest.approx(11 / 3.5)
    staged = ParallelLayout(dp=8, pp=5, vpp=2, micro_batch=1)
    assert race.evaluation_steps(RULE, staged, batch_sequences=16, method=Method.PRETRAIN) == pytest.approx(24 / 4 / 3)
    tuned = race.evaluation_steps(RULE, flat, batch_sequences=16, method=Method.LORA)
    assert 22 / 2 / 3 < tuned < 22 / 2 / 2


def test_a_race_is_its_steps_and_its_stops_without_checkpoints() -> None:
    asked = {"model": "llama-2-70b", "method": Method.LORA, "seq_len_tokens": 8192, "global_batch_sequences": 8}
    one = run(workload=asked | {"samples_to_target": 3300}, deployment={"gpu": "h200-sxm", "gpus": 8, "micro_batch": 1})
    found = evaluate_training(CATALOG, one)
    metrics = training_metrics(one, found)
    step_min = metrics["step_time_s"].interval.p50 / 60
    steps = -(-3300 // 8)
    layout = found.estimate.layout
    rule = CATALOG.calibration.evaluations["llama-2-70b", "lora"]
    stops = race.evaluations(rule, sequences=3300, batch_sequences=8)
    stops *= race.evaluation_steps(rule, layout, batch_sequences=8, method=Method.LORA)
    start_min = CATALOG.calibration.assumption("evidence.race_start_s") / 60
    assert metrics["time_to_train_min"].interval.p50 == pytest.approx((steps + stops) * step_min + start_min, rel=1e-4)
    assert 0.05 < stops / (steps + stops) < 0.2


def test_a_race_without_a_rule_takes_a_share_more_and_what_is_no_race_none() -> None:
    share = CATALOG.calibration.assumption("evidence.target_evaluation_fraction")
    times = {}
    for samples in (100_000, None):
        one = run(
            workload={
                "model": "mistral-7b",
                "seq_len_tokens": 8192,
                "global_batch_sequences": 128,
                "samples_to_target": samples,
            },
            deployment={"gpus": 64},
        )
        found = evaluate_training(CATALOG, one)
        days = found.metrics["time_to_train_days"].interval.p50
        times[samples] = training_metrics(one, found)["time_to_train_min"].interval.p50 / (days * 24 * 60)
        goodput = found.metrics["goodput_fraction"].interval.p50
    assert times[None] == pytest.approx(1.0)
    assert times[100_000] == pytest.approx(goodput / (1 - share), rel=0.01)


def test_small_models_of_nemo_rl_roll_out_several_updates_at_once() -> None:
    asked = {"method": Method.GRPO, "global_batch_sequences": 512, "seq_len_tokens": 4096}
    taken = {}
    for software in ("NeMo-RL v0.6 (Megatron Core)", "another"):
        found = evaluate_training(CATALOG, run(workload=asked, deployment={"gpus": 16, "software": software}))
        assert isinstance(found.rerun.workload, TrainingWorkload)
        taken[software] = found.rerun.workload.global_batch_sequences
    assert list(taken.values()) == [2048, 512]


def test_one_micro_batch_a_step_is_one_for_each_gpu() -> None:
    one = run(
        workload={"model": "bert-large", "seq_len_tokens": 512, "global_batch_sequences": 176},
        deployment={"gpus": 4, "gradient_accumulation": 1},
    )
    layout = evaluate_training(CATALOG, one).estimate.layout
    assert (layout.dp, layout.pp, layout.micro_batch) == (4, 1, 44)
