"""Measured modules of gathered attention are taken apart: what is left beside their products is gathering."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts.calibration.command import _every_gpu
from scripts.calibration.gathered_kernels import Sources, gathered_kernels
from scripts.calibration.measured_kernels import Measured
from service.sizing.operation import Operation
from tests.facts import own_catalog

CATALOG = own_catalog()

ROW = {
    "gpu": "b200-sxm",
    "engine": "sglang",
    "kernel_source": "sglang_dsa_indexer_trtllm",
    "model": "deepseek-ai/DeepSeek-V3.2",
    "gemm_type": "fp8_block",
    "kv_cache_dtype": "fp8",
    "num_heads": 16,
    "batch_size": 1,
    "isl": 8192,
    "step": 0,
    "latency": 2.8,
}
COMPRESSED = ROW | {
    "model": "sgl-project/DeepSeek-V4-Flash-FP8",
    "kernel_source": "compressed_flashmla",
    "kv_cache_dtype": "fp8_e4m3",
}


def measured(folder: Path, *rows: dict[str, object]) -> list[Measured]:
    """What is read of these rows of DeepSeek-V3.2, beside one of either kind of compressed layers."""
    pd.DataFrame([ROW, *rows]).to_parquet(folder / "dsa_context_module.parquet")
    for kind in ("csa", "hca"):
        pd.DataFrame([COMPRESSED]).to_parquet(folder / f"dsv4_{kind}_context_module.parquet")
    sources = Sources(
        models={name: model.architecture for name, model in CATALOG.models.items()},
        table=_every_gpu(CATALOG),
        curves=CATALOG.calibration.curves,
    )
    return list(gathered_kernels(folder, sources))


def test_products_are_taken_off_and_what_is_left_is_the_work_of_gathering(tmp_path: Path) -> None:
    found = measured(tmp_path)
    assert [(one.operation, one.engine) for one in found] == [
        (Operation.CONTEXT_COMPRESSED, "sglang"),
        (Operation.CONTEXT_COMPRESSED, "any"),
        (Operation.CONTEXT_SPARSE, "sglang"),
        (Operation.CONTEXT_SPARSE, "any"),
    ]
    sparse = found[2]
    assert sparse.precision == "fp8"
    assert 1.5e-3 < sparse.took_s[0] < 2.8e-3
    # 64 heads although it has 16, at 2,048 entries of 576 and 512 elements; scores of all 4,096 in the mean.
    each = 2.0 * 64 * (576 + 512) * 2048 + 2.0 * 64 * 128 * 4096
    assert np.ravel(sparse.work.flop).tolist() == [pytest.approx(8192 * each)]
    assert np.ravel(sparse.work.depth).tolist() == [2048.0]
    assert found[0].took_s.size == 2


@pytest.mark.parametrize(
    "change",
    [
        # Whatever is launched for few tokens, prompts without a choice, caches from before, and layers that reuse one.
        {"isl": 2048},
        {"isl": 1024, "batch_size": 2},
        {"isl": 2048, "batch_size": 8},
        {"step": 4096},
        {"kernel_source": "sglang_dsa_skip_indexer_trtllm"},
        {"gpu": "rtx-pro-6000-se"},
        {"gpu": "nobody-knows-it"},
        # Products alone are estimated to take longer.
        {"latency": 0.4},
    ],
)
def test_what_says_nothing_of_gathering_is_left_out(tmp_path: Path, change: dict[str, object]) -> None:
    found = measured(tmp_path, ROW | change)
    assert [one.took_s.size for one in found if one.operation is Operation.CONTEXT_SPARSE] == [1, 1]
