"""Experts that one kernel takes: which software, formats, models and GPUs have it, and what it saves."""

from dataclasses import replace

import pytest

from service.catalog.catalog import Catalog
from service.sizing.precision import Precision
from service.sizing.training.experts import fused_experts
from service.sizing.training.job import Job, job_of
from service.sizing.training.together import kin
from service.sizing.workload import Method, PrecisionRecipe
from tests.sizing.training.jobs import layouts, training_workload
from tests.sizing.training.test_step import step

BEFORE, SINCE = "2026-05", "2026-06"


def made(catalog: Catalog, *, month: str | None = SINCE, plain_stack: bool = False, **changes: object) -> Job:
    asked = {"model": "qwen3-30b-a3b", "precision": Precision.FP8, "precision_recipe": PrecisionRecipe.MXFP8}
    workload = training_workload(**(asked | changes))
    architecture = catalog.models[str(workload.model)].architecture
    return job_of(workload, architecture, catalog.calibration, month=month, plain_stack=plain_stack)


def test_newer_software_has_one_kernel_for_gated_experts_in_mxfp8(catalog: Catalog) -> None:
    assert not made(catalog, month=BEFORE).fuses_experts
    assert made(catalog).fuses_experts
    assert made(catalog, month=None).fuses_experts
    assert made(catalog, precision_recipe=PrecisionRecipe.AUTO).fuses_experts


@pytest.mark.parametrize(
    "other",
    [
        {"precision_recipe": PrecisionRecipe.FP8_CURRENT_SCALING},
        {"precision": Precision.FP4, "precision_recipe": PrecisionRecipe.NVFP4},
        {"precision": Precision.BF16, "precision_recipe": PrecisionRecipe.AUTO},
        {"model": "nemotron-3-nano-30b-a3b"},
        {"model": "gpt-oss-120b"},
        {"plain_stack": True},
        {"method": Method.QLORA},
    ],
    ids=["scaled by tensor", "4 bits", "16 bits", "no gate", "biases", "a framework's own layers", "frozen in 4 bits"],
)
def test_nothing_else_has_it(catalog: Catalog, other: dict[str, object]) -> None:
    assert not made(catalog, **other).fuses_experts


def test_only_gpus_with_its_instructions_run_it() -> None:
    generations = ["hopper", "blackwell", "blackwell_ultra", "blackwell_rtx"]
    assert list(fused_experts(generations, fuses=True)) == [0.0, 1.0, 1.0, 0.0]
    assert not any(fused_experts(generations, fuses=False))


def test_it_saves_most_where_experts_are_narrow(catalog: Catalog) -> None:
    def saved(model: str, server: str) -> float:
        columns = layouts(ep=8, dp=8, micro_batch=4, sharding=1)
        jobs = [made(catalog, model=model, month=month) for month in (BEFORE, SINCE)]
        ageless = [replace(j, coefficients=replace(j.coefficients, vintage=1.0)) for j in jobs]
        apart, fused = (float(step(catalog, j, columns, server=server).products[0]) for j in ageless)
        return apart / fused

    ultra = "poweredge-xe9780-b300"
    assert saved("qwen3-30b-a3b", ultra) > saved("qwen3-235b-a22b", ultra) > saved("deepseek-v3", ultra) > 1.05
    assert saved("qwen3-30b-a3b", "poweredge-xe9680-h100") == pytest.approx(1.0)


def test_jobs_whose_software_differs_in_it_are_not_computed_as_one(catalog: Catalog) -> None:
    fused, apart = (
        made(catalog, precision_recipe=recipe) for recipe in (PrecisionRecipe.AUTO, PrecisionRecipe.FP8_DELAYED_SCALING)
    )
    assert fused.coefficients == apart.coefficients
    assert kin(fused) != kin(apart)


@pytest.mark.parametrize(
    ("server", "captured"),
    [
        ("poweredge-xe9780-b300", True),
        ("poweredge-xe9712-gb300", True),
        ("poweredge-xe9712-gb200", True),
        ("poweredge-xe9780-b200", False),
        ("poweredge-xe9680-h100", False),
    ],
)
def test_recipes_that_have_it_capture_whole_steps_on_racks_and_on_b300(
    catalog: Catalog, server: str, captured: bool
) -> None:
    columns, found = layouts(ep=8, dp=8, micro_batch=1, sharding=1), made(catalog, month=None)
    scaled_s = found.coefficients.fixed_s + found.coefficients.expert_step_s * 128 / 8 * 48
    fixed_s = float(step(catalog, found, columns, server=server).fixed[0])
    assert (fixed_s == pytest.approx(scaled_s)) == captured
