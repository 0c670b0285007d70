"""What a published run of a served model leaves open is taken as such runs are."""

import pytest

from service.planning.rerun.inference import evaluate_inference
from service.planning.rerun.run import Rerun
from service.schemas.measured import MeasuredInference, PublishedLoad, PublishedRequests, PublishedServing
from service.sizing.precision import Precision
from service.sizing.workload import LoadKind, ServingEngine
from tests.facts import own_catalog

CATALOG = own_catalog()


def served(*, isl_tokens: float, osl_tokens: float) -> Rerun:
    """Of a closed loop under SGLang."""
    run = MeasuredInference(
        id="x",
        measured={},
        workload=PublishedRequests(
            model="qwen3-32b", weight_precision=Precision.BF16, isl_tokens=isl_tokens, osl_tokens=osl_tokens
        ),
        deployment=PublishedServing(
            gpu="h100-sxm",
            gpus=2,
            tp=2,
            engine=ServingEngine.SGLANG,
            load=PublishedLoad(kind=LoadKind.CONCURRENCY, value=64),
        ),
    )
    return evaluate_inference(CATALOG, run).rerun


@pytest.mark.parametrize(
    ("isl_tokens", "osl_tokens", "alike"),
    [(1024.0, 256.0, True), (2000.0, 100.0, True), (610.0, 422.0, False), (1024.0, 505.0, False)],
)
def test_lengths_that_are_no_round_numbers_are_means_of_lengths_that_differ(
    isl_tokens: float, osl_tokens: float, *, alike: bool
) -> None:
    load = served(isl_tokens=isl_tokens, osl_tokens=osl_tokens).deployment.load
    assert load is not None
    assert load.alike is alike


@pytest.mark.parametrize(
    ("model", "precision", "gpus"),
    [
        # All of it fits on one GPU, and nobody runs it there.
        ("deepseek-v4-flash", Precision.FP4, 4),
        ("deepseek-v4-pro", Precision.FP4, 8),
        ("gemma-4-12b", Precision.BF16, 1),
    ],
)
def test_experts_run_on_four_gpus_at_least_where_nobody_says(model: str, precision: Precision, gpus: int) -> None:
    run = MeasuredInference(
        id="x",
        measured={},
        workload=PublishedRequests(model=model, weight_precision=precision, isl_tokens=8192.0, osl_tokens=1024.0),
        deployment=PublishedServing(gpu="b300-sxm"),
    )
    assert evaluate_inference(CATALOG, run).rerun.deployment.gpus == gpus
