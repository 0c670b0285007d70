"""How far a training scatters around what is predicted, by what it is."""

import math

import pytest

from service.catalog.catalog import Catalog
from service.sizing.training.explain import Certainty, certainty_of
from service.sizing.training.job import job_of
from tests.sizing.training.jobs import training_workload


def certainty(catalog: Catalog, model: str, *, plain_stack: bool = False) -> Certainty:
    workload, architecture = training_workload(model=model), catalog.models[model].architecture
    job = job_of(workload, architecture, catalog.calibration, plain_stack=plain_stack)
    return certainty_of(job, catalog.calibration, subject=model, gpu="h100-sxm", gpus=8)


def test_experts_in_a_stack_as_its_framework_brings_it_scatter_by_both(catalog: Catalog) -> None:
    plain = certainty(catalog, "llama-3.1-8b", plain_stack=True).step
    experts = certainty(catalog, "qwen3-30b-a3b").step
    both = certainty(catalog, "qwen3-30b-a3b", plain_stack=True).step
    assert both.down == pytest.approx(math.hypot(plain.down, experts.down))
    assert both.up == pytest.approx(math.hypot(plain.up, experts.up))
    assert both.shift == plain.shift
