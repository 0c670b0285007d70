"""What a training asks of storage and network, against numbers worked out by hand."""

import pytest

from service.catalog.catalog import Catalog
from service.sizing.result import SizingOption
from service.sizing.table import FloatArray
from service.sizing.terms import Terms
from service.sizing.training.search import size_training
from service.sizing.training.traffic import traffic_of
from service.sizing.workload import Question, TrainingTarget
from tests.sizing.training.jobs import job, layouts, training_workload

LAYER_TOKENS = 4096 * 4096 * 2


def option(catalog: Catalog, weight: FloatArray, **changes: object) -> SizingOption:
    workload = training_workload(model="llama-3.1-70b", target=TrainingTarget(gpus=64), **changes)
    found = size_training(
        Question(workload=workload),
        catalog.models["llama-3.1-70b"].architecture,
        terms=Terms(hardware=catalog.hardware, calibration=catalog.calibration, weight=weight),
    )
    return next(o for o in found.options if o.server == "poweredge-xe9780-b300")


def needs(found: SizingOption) -> dict[str, float]:
    return {q.name: float(q.value or 0.0) for q in found.requirements}


def days(found: SizingOption) -> float:
    return next(m.interval.p50 for m in found.metrics if m.name == "time_to_train_days")


def test_traffic_of_an_8b_by_axis(catalog: Catalog) -> None:
    found = job(catalog, global_batch_sequences=8)
    tensor = traffic_of(found, layouts(tp=2, dp=4))
    # 32 layers, 8 gathers and scatters each of 4,096 tokens x 4,096 in BF16, half of it sent; two micro-batches.
    assert tensor.tensor[0] == pytest.approx(32 * 8 * LAYER_TOKENS / 2 * 2)
    assert (tensor.pipeline[0], tensor.expert[0], tensor.context[0]) == (0.0, 0.0, 0.0)
    data = traffic_of(found, layouts(dp=8, sharding=1))
    assert data.data[0] == pytest.approx(4 * found.shape.total_params * 7 / 8)
    sharded = traffic_of(found, layouts(dp=2, sharding=3))
    # Two gathers and a scatter for each of four micro-batches.
    assert sharded.data[0] == pytest.approx(4 * 6 * found.shape.total_params / 2)
    piped = traffic_of(found, layouts(pp=2, dp=4))
    assert piped.pipeline[0] == pytest.approx(2 * LAYER_TOKENS * 2)


def test_experts_send_each_token_to_all_that_were_chosen(catalog: Catalog) -> None:
    found = job(catalog, model="qwen3-30b-a3b", global_batch_sequences=8)
    sent = traffic_of(found, layouts(ep=8, dp=8))
    # 48 layers, dispatch and combine, forward and backward, 8 copies of 2,048 elements, an eighth stays.
    assert sent.expert[0] == pytest.approx(48 * 4 * 8 * 4096 * 2048 * 2 * 7 / 8)


def test_slow_storage_costs_time_and_says_a_longer_interval(catalog: Catalog, weight: FloatArray) -> None:
    sized, slow = option(catalog, weight), option(catalog, weight, storage_gb_s=2.0)
    checkpoint_gb = 14 * 70.55
    assert needs(sized)["checkpoint_size_gb"] == pytest.approx(checkpoint_gb, rel=1e-3)
    assert needs(sized)["checkpoint_write_s"] == pytest.approx(72.0)
    assert needs(slow)["checkpoint_write_s"] == pytest.approx(checkpoint_gb / 2.0, rel=1e-3)
    assert needs(slow)["checkpoint_write_gb_s"] == pytest.approx(2.0)
    assert slow.storage.write_gb_s == pytest.approx(2.0)
    assert days(slow) > 1.1 * days(sized)
    assert needs(slow)["checkpoint_best_interval_min"] > needs(sized)["checkpoint_best_interval_min"]


def test_the_best_interval_is_no_worse_than_the_asked_one(catalog: Catalog, weight: FloatArray) -> None:
    found = option(catalog, weight, storage_gb_s=5.0, checkpoint_interval_min=20.0)
    goodput = next(m.interval.p50 for m in found.metrics if m.name == "goodput_fraction")
    told = needs(found)
    assert told["checkpoint_interval_min"] == 20.0
    assert told["goodput_best_interval_fraction"] >= goodput
    assert told["effective_training_days"] < days(found) * 1.1


def test_energy_and_reads_follow_from_the_run(catalog: Catalog, weight: FloatArray) -> None:
    found = option(catalog, weight)
    told = needs(found)
    metrics = {m.name: m.interval.p50 for m in found.metrics}
    assert told["dataset_read_gb_s"] == pytest.approx(4 * metrics["tokens_s"] / 1e9, rel=0.1)
    # Cooling and switches come on top of what the servers draw.
    assert told["facility_energy_kwh"] > metrics["it_energy_kwh"] * 0.9
