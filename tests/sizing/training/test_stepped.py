"""Questions about one model, sequence and batch share their steps, and are answered as if they were alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.sizing.result import SizingResult
from service.sizing.table import FloatArray, table_of
from service.sizing.terms import Terms
from service.sizing.training import asks
from service.sizing.training.choices import searched_layouts
from service.sizing.training.fleet import search
from service.sizing.training.job import run_rates, table_rates
from service.sizing.training.recompute import fitted
from service.sizing.training.search import size_training
from service.sizing.training.stepped import Steps, Wanted, steps_of_kin
from service.sizing.workload import Constraints, Method, Question, TrainingTarget
from tests.sizing.training.jobs import job, training_workload

Sizer = Callable[..., SizingResult]
OTHERS = (
    {"tokens": 3e12},
    {"target": TrainingTarget(deadline_days=3.0)},
    {"target": TrainingTarget(deadline_days=0.001)},
    {"checkpoint_interval_min": 5.0, "storage_gb_s": 1.0, "dataset_tb": 40.0},
    {"method": Method.LORA, "global_batch_sequences": 128},
    {"model": "qwen3-30b-a3b", "target": TrainingTarget(gpus=64)},
    {"global_batch_sequences": None, "target": TrainingTarget(gpus=24)},
)


@pytest.fixture
def sizer(catalog: Catalog, weight: FloatArray) -> Sizer:
    def size(**changes: object) -> SizingResult:
        workload = training_workload(**changes)
        return size_training(
            Question(workload=workload, constraints=Constraints()),
            catalog.models[str(workload.model)].architecture,
            terms=Terms(hardware=catalog.hardware, calibration=catalog.calibration, weight=weight),
        )

    return size


@pytest.mark.parametrize("changes", OTHERS, ids="+".join)
def test_a_question_beside_others_is_answered_as_alone(sizer: Sizer, changes: dict[str, object]) -> None:
    asks._KNOWN.clear()
    alone = sizer(**changes)
    asks._KNOWN.clear()
    sizer()
    for other in OTHERS:
        sizer(**other)
    assert sizer(**changes) == alone


def test_how_long_and_until_when_share_their_steps(sizer: Sizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asks._KNOWN.clear()
    found: list[Wanted] = []

    def counted(wanted: list[Wanted], **of: Any) -> list[Steps]:
        found.extend(wanted)
        return steps_of_kin(wanted, **of)

    monkeypatch.setattr(asks, "steps_of_kin", counted)
    for changes in OTHERS[:4]:
        sizer(**changes)
    assert len(found) == 1


@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3-30b-a3b"])
def test_the_shortest_step_of_a_count_is_its_shortest_training(catalog: Catalog, model: str) -> None:
    found, table = job(catalog, model=model), table_of(catalog.hardware)
    found, layouts = searched_layouts(found, gpus=None, most_gpus=512)
    row = next(i for i, server in enumerate(table.servers) if table.gpus[i].id == "b200-sxm")
    fleet = search(found, layouts, rows=np.array([row]), table=table, calibration=catalog.calibration)
    usable = np.full(len(layouts), found.usable_bytes(table.memory_bytes[row]))
    every = fitted(found, layouts, usable_bytes=usable)
    size = table.gpus_server[row]
    inside = np.where(layouts.gpus <= size, layouts.gpus, np.where(layouts.gpus % size == 0, size, 0))
    chosen = every.layouts.take(every.fits & (layouts.tp <= inside) & (inside > 0))
    where = np.full(len(chosen), row)
    rates = run_rates(table_rates(found, table, catalog.calibration).take(where), chosen.gpus, table.gpus_server[where])
    step_s = found.step(chosen, rates).total
    days = found.days(step_s, found.goodput(chosen.gpus, step_s).fraction)
    assert len(fleet.gpus) > 2
    for gpus, best in zip(fleet.gpus, fleet.days, strict=True):
        assert best == days[chosen.gpus == gpus].min()
