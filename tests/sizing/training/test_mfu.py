"""MFU by the stated convention, and what turns it into others."""

import pytest

from service.catalog.catalog import Catalog
from service.sizing.precision import Precision
from service.sizing.result import Estimate
from service.sizing.training.evaluate import estimate_training
from service.sizing.workload import Deployment, Recompute
from tests.sizing.training.jobs import training_workload

LAYERS, HIDDEN, TOKENS = 32, 4096, 8192
# Llama 3.1 8B without its input embedding of 128,256 x 4,096.
MULTIPLIED = 8.030e9 - 128_256 * HIDDEN


def estimate(catalog: Catalog, recompute: Recompute, precision: Precision = Precision.BF16) -> Estimate:
    return estimate_training(
        training_workload(seq_len_tokens=TOKENS, global_batch_sequences=64, precision=precision),
        Deployment(gpu="b200-sxm", gpus=8, tp=1, pp=1, micro_batch=1, recompute=recompute),
        hardware=catalog.hardware,
        architecture=catalog.models["llama-3.1-8b"].architecture,
        calibration=catalog.calibration,
    )


def shares(found: Estimate) -> dict[str, float]:
    return {q.name: float(q.value or 0.0) for q in found.utilisation}


def test_the_convention_is_six_n_and_causal_attention_over_the_dense_peak(catalog: Catalog) -> None:
    found = estimate(catalog, Recompute.NONE)
    working = {s.name: float(s.value or 0.0) for s in found.working}
    # 2 FLOP a parameter and 4 x width x visible tokens a layer, three passes; half of the tokens are visible.
    flop_token = 6 * MULTIPLIED + 3 * LAYERS * 4 * HIDDEN * TOKENS / 2
    assert working["step_flop"] == pytest.approx(64 * TOKENS * flop_token, rel=1e-3)
    peak = catalog.hardware.gpu("b200-sxm").bf16_dense_tflops
    assert peak is not None
    expected = working["step_flop"] / working["step_time_s"] / (8 * peak * 1e12)
    assert shares(found)["mfu"] == pytest.approx(expected, rel=1e-6)


def test_other_conventions_follow_from_it(catalog: Catalog) -> None:
    plain, again = (shares(estimate(catalog, recompute)) for recompute in (Recompute.NONE, Recompute.FULL))
    causal, halved = 3 * LAYERS * 4 * HIDDEN * TOKENS / 2, 6 * MULTIPLIED
    whole = (halved + 2 * causal) / (halved + causal)
    assert plain["mfu_full_attention"] / plain["mfu"] == pytest.approx(whole, rel=1e-3)
    # A forward pass more on top of three.
    assert again["hfu"] / again["mfu"] == pytest.approx(4 / 3)
    assert plain["hfu"] == pytest.approx(plain["mfu"])
    assert plain["mfu_parameters_only"] / plain["mfu"] == pytest.approx(halved / (halved + causal), rel=1e-3)


def test_peaks_are_dense_and_of_the_precision_of_the_products(catalog: Catalog) -> None:
    """Data sheets with sparsity state twice the dense peak: who divides by it gets half."""
    narrow = shares(estimate(catalog, Recompute.NONE, Precision.FP8))
    gpu = catalog.hardware.gpu("b200-sxm")
    assert gpu.fp8_dense_tflops is not None
    assert gpu.bf16_dense_tflops is not None
    of_bf16 = narrow["mfu_bf16_peak"] / narrow["mfu"]
    assert of_bf16 == pytest.approx(gpu.fp8_dense_tflops / gpu.bf16_dense_tflops)
    assert narrow["mfu_sparse_peak"] == pytest.approx(narrow["mfu"] / 2)
