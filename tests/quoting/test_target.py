"""What was asked, in one sentence and as fields."""

import pytest

from service.quoting.target import target_of
from service.sizing.science.workload import DeadlineTarget, FoldingWorkload, RooflineWorkload, SizeDistribution
from service.sizing.workload import Demand, Method, TrainingTarget, TrainingWorkload
from tests.build import inference_workload, question

FOLDING = FoldingWorkload(application="boltz-2", tokens=SizeDistribution(mean=900.0), targets_day=2000.0)
FLUID = RooflineWorkload(
    application="roofline",
    precision="fp64",
    step_flop=4e15,
    step_bytes=9e14,
    resident_gb=900.0,
    steps=2e6,
    target=DeadlineTarget(deadline_days=3.0),
)
TRAINING = TrainingWorkload(
    model="llama-3.1-8b", method=Method.CONTINUED_PRETRAIN, tokens=2e12, target=TrainingTarget(deadline_days=30.0)
)


CHAT = (
    "Serving llama-3.1-70b: 20 requests a second, TTFT of at most 4,000 ms and TPOT of at most 60 ms for 95 % of the "
    "requests, at a confidence of 80 %."
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
            "Serving llama-3.1-70b: all that 16 GPUs can do, at a confidence of 80 %.",
        ),
        (
            TRAINING,
            "Training llama-3.1-8b (continued pretrain): done within 30 days, at a confidence of 80 %.",
        ),
        (FOLDING, "Running boltz-2: 2,000 targets a day, at a confidence of 80 %."),
        (FLUID, "Running roofline: done within 3 days, at a confidence of 80 %."),
    ],
)
def test_the_target_is_a_sentence(workload, sentence):
    assert target_of(question(workload)).sentence == sentence


def test_the_fields_stand_behind_the_sentence():
    asked = {item.name: item.value for item in target_of(question(min_confidence_fraction=0.9)).asked}
    assert asked == {
        "requests_s": 20.0,
        "ttft_ms": 4000.0,
        "tpot_ms": 60.0,
        "percentile": 95.0,
        "min_confidence_fraction": 0.9,
    }
