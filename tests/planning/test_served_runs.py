"""What a published run of a served model leaves open is taken as such runs are."""

import pytest

from service.planning.rerun.inference import evaluate_inference
from service.schemas.measured import MeasuredInference, PublishedRequests, PublishedServing
from service.sizing.precision import Precision
from tests.facts import own_catalog

CATALOG = own_catalog()


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
