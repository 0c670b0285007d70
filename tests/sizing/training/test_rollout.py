"""Rollouts are decode passes of the inference engine: as many GPUs as hold the policy, a pass for every token."""

import numpy as np
import pytest

from service.sizing.precision import Precision
from service.sizing.table import build_table
from service.sizing.training.job import table_rates
from service.sizing.training.rollout import decoding_of, rollout_s
from service.sizing.workload import Method
from tests.facts import own_catalog
from tests.sizing.training.jobs import job, layouts

CATALOG = own_catalog()
SPEC = CATALOG.hardware.server("poweredge-xe9680-h100")
TABLE = build_table((SPEC,), (CATALOG.hardware.gpu(SPEC.gpu),))


def decoding(model: str, length: float = 4096.0):
    return decoding_of(
        CATALOG.models[model].architecture,
        TABLE,
        CATALOG.calibration,
        precision=Precision.BF16,
        length_tokens=length,
        month=None,
    )


@pytest.mark.parametrize(("model", "gpus", "stages"), [("llama-3.1-8b", 1, 1), ("llama-3.1-70b", 4, 1)])
def test_as_many_gpus_decode_together_as_hold_the_policy_in_half_of_their_memory(
    model: str, gpus: int, stages: int
) -> None:
    found = decoding(model)
    assert (found.together[0], found.stages[0]) == (gpus, stages)


def test_a_policy_beyond_a_server_decodes_in_stages() -> None:
    found = decoding("deepseek-v3")
    assert found.together[0] > 8
    assert found.stages[0] == found.together[0] / 8


def seconds(length: float, gpus: int, batch: int) -> float:
    found = rollout_s(
        layouts(dp=gpus),
        decoding("llama-3.1-8b"),
        length_tokens=np.asarray(length),
        gaps_s=np.asarray(0.0),
        rounds=np.array([batch // gpus]),
    )
    return float(found[0])


def test_twice_the_tokens_take_twice_as_long_and_twice_the_sequences_less_than_that() -> None:
    assert seconds(2000.0, 8, 64) == pytest.approx(2 * seconds(1000.0, 8, 64))
    assert seconds(1000.0, 8, 64) < seconds(1000.0, 8, 128) < 2 * seconds(1000.0, 8, 64)
    # The same sequences on more GPUs are fewer on each.
    assert seconds(1000.0, 16, 128) == pytest.approx(seconds(1000.0, 8, 64))


def test_no_pass_is_faster_than_reading_the_policy() -> None:
    read_s = 2 * 7.5e9 / float(TABLE.bandwidth_bytes_s[0])
    assert seconds(1000.0, 8, 8) > 1000 * read_s


def test_only_reinforcement_learning_rolls_out() -> None:
    for method in Method:
        found = table_rates(job(CATALOG, method=method), TABLE, CATALOG.calibration)
        assert (found.decoding is not None) == (method is Method.GRPO)
