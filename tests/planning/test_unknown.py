"""A training of a model that the catalog does not list is answered where its size is known."""

import math

import pytest

from service.planning.accuracy import predict
from service.planning.rerun.unknown import architecture_of_size
from service.schemas.evidence import read_measured
from service.schemas.measured import Refused
from service.sizing.architecture import count
from tests.evidence import ABSENT, TRAINED, line
from tests.facts import own_catalog

CATALOG = own_catalog()


@pytest.mark.parametrize("params_b", [0.125, 1.3, 8.0, 70.0, 405.0])
def test_a_model_of_a_size_has_as_many_parameters(params_b: float) -> None:
    found = architecture_of_size("theirs", params_b)
    assert count(found).total_params == pytest.approx(params_b * 1e9, rel=1e-3)
    assert found.hidden % 128 == 0
    # Wider than deep, as all are.
    assert 60 < found.hidden / found.layers < 130


@pytest.mark.parametrize("model", ["theirs-8b", ABSENT])
def test_it_trains_about_as_a_listed_one_of_its_size(model: object) -> None:
    listed = predict(CATALOG, read_measured(line(TRAINED)))
    theirs = predict(CATALOG, read_measured(line(TRAINED, workload__model=model, workload__params_b=8.03)))
    for one, other in zip(listed, theirs, strict=True):
        assert one.interval is not None
        assert other.interval is not None
        assert other.interval.p50 == pytest.approx(one.interval.p50, rel=0.1)
        # Nobody said what it is, so that the interval is wider.
        arms = [math.log(each.p90 / each.p10) for each in (one.interval, other.interval)]
        assert arms[1] > 1.2 * arms[0]
        assert "workload.model=dense, 8.03 billion parameters" in other.assumed


def test_what_has_experts_or_no_size_is_refused() -> None:
    size = {"workload__params_b": 30.0}
    for changes in (
        {"workload__model": "theirs-30b"},
        size | {"workload__model": "theirs-30b", "deployment__ep": 8},
        size | {"workload__model": "theirs-30b-a3b"},
        size | {"workload__model": "theirs-8x4b"},
    ):
        found = predict(CATALOG, read_measured(line(TRAINED, **changes)))
        assert {p.refused for p in found} == {Refused.UNKNOWN_MODEL}


def test_a_length_that_nobody_said_widens_an_interval_once() -> None:
    """By the bounds of what is taken for it, and not by a stretch for its absence besides."""
    measured = {"gpu_hours": 1.0, "step_time_s": 1.0}
    asked = line(TRAINED, workload__model="qwen3-32b", workload__samples_to_target=ABSENT, measured=measured)
    whole, step = (one.interval for one in predict(CATALOG, read_measured(asked)))
    assert whole is not None
    assert step is not None
    entry = CATALOG.calibration.assumptions["evidence.pretrain_tokens_param"]
    up = math.hypot(math.log(entry.high / entry.value), math.log(step.p90 / step.p50))
    assert math.log(whole.p90 / whole.p50) == pytest.approx(up, rel=0.05)


def test_gpu_hours_are_those_of_a_whole_training_where_a_time_is_that_of_a_race() -> None:
    """Of a model that is raced with nobody says which it was: what is published in GPU hours is no race."""
    asked = line(TRAINED, workload__samples_to_target=ABSENT, measured={"gpu_hours": 1.0, "time_to_train_min": 1.0})
    hours, minutes = predict(CATALOG, read_measured(asked))
    assert hours.interval is not None
    assert minutes.interval is not None
    gpus = asked["deployment"]["gpus"]
    assert hours.interval.p50 > 10.0 * minutes.interval.p50 / 60.0 * gpus
    said = [{word for word in one.assumed if "samples_to_target" in word} for one in (hours, minutes)]
    assert said[0] != said[1]
    assert all(len(words) == 1 for words in said)
