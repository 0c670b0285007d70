"""What was asked, in one sentence and as fields."""

from dataclasses import replace

import pytest

from service.quoting.target import target_of
from service.sizing.science.workload import (
    DeadlineTarget,
    FoldingWorkload,
    MdWorkload,
    RooflineWorkload,
    SizeDistribution,
)
from service.sizing.workload import Availability, Demand, Method, TokenLength, TrainingTarget, TrainingWorkload
from tests.build import inference_workload, question

FOLDING = FoldingWorkload(
    application="boltz-2", tokens=SizeDistribution(mean=900.0, p95=1800.0), targets_day=2000.0, seeds=5
)
DYNAMICS = MdWorkload(application="gromacs", atoms=1067000.0, ns_day=400.0, replicas=20)
FLUID = RooflineWorkload(
    application="roofline",
    precision="fp64",
    step_flop=4e15,
    step_bytes=9e14,
    resident_gb=900.0,
    steps=2e6,
    target=DeadlineTarget(deadline_days=1.0),
)
TRAINING = TrainingWorkload(
    model="llama-3.1-8b", method=Method.CONTINUED_PRETRAIN, tokens=2e12, target=TrainingTarget(deadline_days=30.0)
)

USERS = inference_workload(
    isl_tokens=TokenLength(mean=2048.0, p95=6000.0),
    osl_tokens=TokenLength(mean=300.0),
    demand=Demand(users=5000.0, requests_user_hour=6.0, peak_factor=3.0),
    slo=None,
    prefix_cache_hit_fraction=0.3,
    growth_fraction_year=0.2,
    horizon_months=24.0,
    availability=Availability.N_PLUS_1,
)


CHAT = (
    "Serving llama-3.1-70b: 20 requests a second, 2,048 tokens in and 256 out on average, TTFT of at most 4,000 ms and "
    "TPOT of at most 60 ms for 95 % of the requests, at a confidence of 80 %."
)


@pytest.mark.parametrize(
    ("workload", "sentence"),
    [
        (
            inference_workload(),
            CHAT,
        ),
        (
            inference_workload(demand=Demand(saturate_gpus=16), slo=None),
            (
                "Serving llama-3.1-70b: all that 16 GPUs can do, 2,048 tokens in and "
                "256 out on average, at a confidence of "
                "80 %."
            ),
        ),
        (
            USERS,
            (
                "Serving llama-3.1-70b: 5,000 users, each with 6 requests an hour "
                "(peak 3 x), 2,048 tokens in and 300 out on "
                "average, 6,000 in at the 95th percentile, 30 % of the input cached, "
                "20 % more each year for 24 months, with "
                "a spare server, at a confidence of 80 %."
            ),
        ),
        (
            TRAINING,
            (
                "Training llama-3.1-8b (continued pretrain): 2 trillion tokens in "
                "BF16, sequences of 4,096, done within 30 days, "
                "at a confidence of 80 %."
            ),
        ),
        (
            FOLDING,
            (
                "Running boltz-2: 2,000 targets a day, 900 tokens on average (1,800 "
                "at the 95th percentile), 5 seeds each, "
                "at a confidence of 80 %."
            ),
        ),
        (
            DYNAMICS,
            (
                "Running gromacs: 400 ns a day, over 20 trajectories, systems of 1,067,000 atoms, steps of 2 fs, at a "
                "confidence of 80 %."
            ),
        ),
        (
            FLUID,
            (
                "Running roofline: 2,000,000 steps, 4,000 trillion FLOP a step, 900 "
                "trillion bytes moved a step, 900 GB in "
                "GPU memory, in FP64, done within 1 day, at a confidence of 80 %."
            ),
        ),
    ],
)
def test_the_target_is_a_sentence(workload, sentence):
    assert target_of(question(workload)).sentence == sentence


def test_a_number_that_was_asked_for_is_told_to_the_last_digit():
    sentence = target_of(question(replace(TRAINING, tokens=1_234_567_891.0))).sentence
    assert "1.234567891 billion tokens in" in sentence


def test_the_fields_stand_behind_the_sentence():
    asked = {item.name: item.value for item in target_of(question(min_confidence_fraction=0.9)).asked}
    assert asked == {
        "requests_s": 20.0,
        "isl_tokens": 2048.0,
        "osl_tokens": 256.0,
        "ttft_ms": 4000.0,
        "tpot_ms": 60.0,
        "percentile": 95.0,
        "min_confidence_fraction": 0.9,
    }


def test_the_fields_of_other_kinds_stand_there_too():
    assert {item.name: item.value for item in target_of(question(TRAINING)).asked} == {
        "method": "continued_pretrain",
        "tokens": 2e12,
        "precision": "bf16",
        "seq_len_tokens": 4096,
        "deadline_days": 30.0,
        "min_confidence_fraction": 0.8,
    }
    assert {item.name: item.value for item in target_of(question(FOLDING)).asked} == {
        "application": "boltz-2",
        "targets_day": 2000.0,
        "seeds": 5,
        "tokens": 900.0,
        "p95_tokens": 1800.0,
        "min_confidence_fraction": 0.8,
    }
