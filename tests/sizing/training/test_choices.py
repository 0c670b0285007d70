"""Which layouts are tried, and the error when none divides the batch."""

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.errors import InvalidRequestError, UnsupportedWorkloadError
from service.sizing.precision import Precision
from service.sizing.training.choices import deployed_layouts, searched_layouts, thinned
from service.sizing.training.evaluate import awkward_batch
from service.sizing.training.layouts import batch_divides, divisors
from service.sizing.training.recipe import compute_precision
from service.sizing.workload import Deployment, Method, PrecisionRecipe, Sharding
from tests.sizing.training.jobs import job, training_workload


def test_divisors() -> None:
    assert divisors(36) == (1, 2, 3, 4, 6, 9, 12, 18, 36)


def test_degrees_are_thinned_evenly_on_the_logarithm() -> None:
    few, most = divisors(1536), 24
    assert thinned(few, most) == few
    many = divisors(720_720)
    kept = thinned(many, most)
    assert (kept[0], kept[-1]) == (1, 720_720)
    assert set(kept) <= set(many)
    # Half of the degrees lie below the square root: no stretch of the logarithm is left out.
    assert abs(sum(degree < 720_720**0.5 for degree in kept) - len(kept) / 2) <= 1
    assert max(np.diff(np.log2(kept))) < 2 * np.log2(720_720) / most


def test_every_searched_layout_divides_the_batch_and_the_gpus(catalog: Catalog) -> None:
    found = job(catalog, model="deepseek-v3", global_batch_sequences=1536)
    _, tried = searched_layouts(found, gpus=256, most_gpus=16384)
    assert len(tried) > 100
    assert np.all(batch_divides(tried, 1536))
    assert np.all(tried.gpus == 256)
    assert np.all((tried.tp * tried.cp * tried.dp) % tried.ep == 0)
    assert np.all((tried.sharding < 2) | (tried.pp == 1))


def test_a_batch_that_nothing_divides_names_the_nearest_that_works(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="nearest that works is 1022") as raised:
        searched_layouts(job(catalog, global_batch_sequences=1021), gpus=14, most_gpus=16384)
    (error,) = raised.value.detail.errors
    assert (error.field, error.value, error.limit) == ("workload.global_batch_sequences", "1021", "1022")


def test_a_deployment_keeps_what_it_states(catalog: Catalog) -> None:
    asked = Deployment(gpu="b200-sxm", gpus=64, tp=4, pp=2, vpp=2, micro_batch=2, sharding=Sharding.ZERO1)
    _, found = deployed_layouts(job(catalog, model="llama-3.1-70b"), asked)
    assert len(found) == 1
    assert (found.tp[0], found.pp[0], found.vpp[0], found.dp[0], found.micro_batch[0]) == (4, 2, 2, 8, 2)


def test_degrees_that_do_not_give_the_gpus_are_refused(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="gpus = 12"):
        deployed_layouts(job(catalog), Deployment(gpu="b200-sxm", gpus=12, tp=8))


def test_int4_is_for_the_frozen_weights_of_qlora() -> None:
    assert compute_precision(training_workload(method=Method.QLORA, precision=Precision.INT4)) is Precision.BF16
    for method in (Method.SFT, Method.LORA, Method.PRETRAIN):
        with pytest.raises(UnsupportedWorkloadError, match="qlora"):
            compute_precision(training_workload(method=method, precision=Precision.INT4))


def test_a_way_of_scaling_goes_with_its_precision() -> None:
    fits = training_workload(precision=Precision.FP8, precision_recipe=PrecisionRecipe.MXFP8)
    assert compute_precision(fits) is Precision.FP8
    for precision, recipe, known in (
        (Precision.BF16, PrecisionRecipe.MXFP8, "fp8"),
        (Precision.FP8, PrecisionRecipe.NVFP4, "fp4"),
    ):
        with pytest.raises(UnsupportedWorkloadError, match=known) as raised:
            compute_precision(training_workload(precision=precision, precision_recipe=recipe))
        assert raised.value.detail.errors[0].field == "workload.precision_recipe"


def test_the_default_batch_gives_way_to_what_the_gpus_divide(catalog: Catalog) -> None:
    """Nobody who asks for seven GPUs has sent a batch: the nearest to the default is taken."""
    asked = job(catalog, global_batch_sequences=None)
    found, layouts = searched_layouts(asked, gpus=7, most_gpus=16384)
    assert found.batch_sequences == 1022
    assert len(layouts)
    again, deployed = deployed_layouts(asked, Deployment(gpu="b200-sxm", gpus=7))
    assert (again.batch_sequences, len(deployed) > 0) == (1022, True)
    kept, _ = searched_layouts(asked, gpus=8, most_gpus=16384)
    assert kept is asked


def test_a_stated_batch_that_nothing_divides_is_refused(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="1029"):
        searched_layouts(job(catalog, global_batch_sequences=1030), gpus=7, most_gpus=16384)


def test_a_layout_that_no_stack_runs_still_spreads_experts_over_gpus_that_there_are(catalog: Catalog) -> None:
    # ZeRO-3 over a pipeline: published, and refused by public stacks.
    asked = Deployment(gpu="b200-sxm", gpus=8, pp=4, sharding=Sharding.ZERO3)
    _, found = deployed_layouts(job(catalog, model="deepseek-v3"), asked)
    assert np.all(found.ep <= found.tp * found.cp * found.dp)


@pytest.mark.parametrize(
    ("batch", "better"), [(7919, "7936"), (2 * 7919, "15808"), (7920, None), (512, None), (61, None), (1000, None)]
)
def test_a_batch_that_hardly_any_data_ranks_divide_is_told_with_a_better_one(batch: int, better: str | None) -> None:
    told = awkward_batch(training_workload(global_batch_sequences=batch))
    assert [one.field for one in told] == (["workload.global_batch_sequences"] if better else [])
    assert all(f"{better} is the nearest" in one.why for one in told)
