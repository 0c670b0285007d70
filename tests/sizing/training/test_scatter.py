"""How far a training scatters around what is predicted, by what it is."""

import math

import pytest

from service.catalog.catalog import Catalog
from service.sizing.training.explain import Certainty, certainty_of
from service.sizing.training.job import job_of
from tests.sizing.training.jobs import training_workload


def certainty(catalog: Catalog, model: str, *, plain_stack: bool = False, gpu: str = "h100-sxm") -> Certainty:
    workload, architecture = training_workload(model=model), catalog.models[model].architecture
    job = job_of(workload, architecture, catalog.calibration, plain_stack=plain_stack)
    return certainty_of(job, catalog.calibration, subject=model, gpu=catalog.hardware.gpu(gpu), gpus=8)


def test_experts_in_a_stack_as_its_framework_brings_it_scatter_by_both(catalog: Catalog) -> None:
    plain = certainty(catalog, "llama-3.1-8b", plain_stack=True).step
    experts = certainty(catalog, "qwen3-30b-a3b").step
    both = certainty(catalog, "qwen3-30b-a3b", plain_stack=True).step
    assert both.down == pytest.approx(math.hypot(plain.down, experts.down))
    assert both.up == pytest.approx(math.hypot(plain.up, experts.up))
    assert both.shift == plain.shift


def test_a_generation_without_a_fitted_training_scatters_further(catalog: Catalog) -> None:
    """Though runs of an L40S are at hand: none of them was fitted."""
    known, kernels_alone = (certainty(catalog, "llama-3.1-8b", gpu=gpu) for gpu in ("h100-sxm", "l40s"))
    factor = catalog.calibration.assumption("interval.extrapolation_factor")
    assert kernels_alone.step.up == pytest.approx(factor * known.step.up)
    assert kernels_alone.step.shift == known.step.shift
