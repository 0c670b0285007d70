"""Curves of single operations are found again in tables of measured kernels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts.calibration.curve_fit import Peaks, fit_curve
from scripts.calibration.kernels import Fitted, chosen_curves
from scripts.calibration.measured_kernels import Measured, measured_experts, measured_kernels
from service.sizing.operation import Curves, Operation, Work

PEAKS = Peaks(flop_s=1e15, bytes_s=4e12)


def measured(seed: int = 0, *, noise: float = 0.03) -> Measured:
    """A thousand matrix products on a GPU whose curve is known."""
    draw = np.random.default_rng(seed)
    m, n, k = (2.0 ** draw.uniform(low, high, 1000) for low, high in ((0, 13), (9, 14), (9, 14)))
    work = Work(flop=2 * m * n * k, main_bytes=2 * n * k, side_bytes=2 * m * n, depth=k, input_bytes=2 * m * k)
    known = Curves(
        launch_s=np.asarray(6e-6),
        flop_s=np.asarray(0.7e15),
        bytes_s=np.asarray(0.8 * 4e12),
        unhidden=np.asarray(0.3),
        depth_s=np.asarray(0.5e-9),
        side_weight=np.asarray(1.5),
        padding_rows=np.asarray(0.0),
        input_weight=np.asarray(6.0),
        spread=np.asarray(1.0),
        direct_bytes=np.asarray(0.0),
    )
    took = known.time_s(work) * np.exp(draw.normal(0.0, noise, m.size))
    return Measured(
        operation=Operation.PRODUCT, gpu="b200-sxm", engine="vllm", precision="bf16", work=work, took_s=took
    )


def test_a_curve_is_found_again_through_noise_and_outliers() -> None:
    points = measured()
    points.took_s[::40] *= 4.0
    found = fit_curve(points, PEAKS, seed=1)
    assert found is not None
    assert found.launch_us == pytest.approx(6.0, rel=0.1)
    assert found.flop_efficiency == pytest.approx(0.7, rel=0.1)
    assert found.bandwidth_efficiency == pytest.approx(0.8, rel=0.1)
    assert found.side_weight == pytest.approx(1.5, rel=0.15)
    assert found.input_weight == pytest.approx(6.0, rel=0.15)
    assert found.padding_rows == 0.0
    assert found.median_error_fraction < 0.05


def test_too_few_points_make_no_curve() -> None:
    few = measured()
    rows = slice(0, 50)
    names = ("flop", "main_bytes", "side_bytes", "depth", "input_bytes")
    work = replace(few.work, **{name: getattr(few.work, name)[rows] for name in names})
    assert fit_curve(replace(few, work=work, took_s=few.took_s[rows]), PEAKS, seed=1) is None


def test_a_product_of_the_tables_is_its_work_and_its_seconds(tmp_path: Path) -> None:
    row = {"gpu": "b200-sxm", "engine": "vllm", "gemm_dtype": "nvfp4", "m": 64, "n": 4096, "k": 8192, "latency": 0.05}
    sliver = row | {"n": 8}
    pd.DataFrame([row, sliver]).to_parquet(tmp_path / "gemm.parquet")
    tables = measured_kernels(tmp_path)
    own, pooled = next(tables), next(tables)
    assert (own.engine, pooled.engine) == ("vllm", "any")
    assert own.precision == "fp4"
    assert own.took_s.tolist() == [pytest.approx(5e-5)]
    assert np.ravel(own.work.flop).tolist() == [2.0 * 64 * 4096 * 8192]
    assert np.ravel(own.work.main_bytes).tolist() == [4096 * 8192 * 0.5625]
    with pytest.raises(FileNotFoundError):
        list(tables)


def test_decode_attention_is_that_of_heads_which_share_a_cache_at_contexts_that_are_served(tmp_path: Path) -> None:
    gemm = {"gpu": "b200-sxm", "engine": "vllm", "gemm_dtype": "nvfp4", "m": 64, "n": 4096, "k": 8192, "latency": 0.05}
    row = {
        "gpu": "h200-sxm",
        "engine": "tensorrt-llm",
        "batch_size": 8,
        "isl": 1,
        "step": 4095,
        "num_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "window_size": 0.0,
        "attn_dtype": "bfloat16",
        "kv_cache_dtype": "fp8",
        "latency": 0.02,
    }
    alone, brief = row | {"num_key_value_heads": 32, "latency": 0.04}, row | {"step": 3, "latency": 0.01}
    pd.DataFrame([gemm]).to_parquet(tmp_path / "gemm.parquet")
    pd.DataFrame([row | {"isl": 4096, "step": 0}]).to_parquet(tmp_path / "context_attention.parquet")
    pd.DataFrame([row, alone, brief]).to_parquet(tmp_path / "generation_attention.parquet")
    tables = measured_kernels(tmp_path)
    decoding = next(one for one in tables if one.operation is Operation.GENERATION_ATTENTION)
    assert decoding.took_s.tolist() == [pytest.approx(2e-5)]
    assert np.ravel(decoding.work.main_bytes).tolist() == [2.0 * 8 * 8 * 128 * 4096]


def expert_rows(**changes: object) -> list[dict[str, object]]:
    """One kernel under two routings, and whole or spread."""
    row = {
        "gpu": "h200-sxm",
        "engine": "tensorrt-llm",
        "kernel_source": "gated",
        "moe_dtype": "fp8",
        "num_tokens": 16,
        "hidden_size": 1024,
        "inter_size": 512,
        "topk": 8,
        "num_experts": 128,
        "moe_tp_size": 1,
        "moe_ep_size": 1,
        "distribution": "power_law_1.01",
        "latency": 0.1,
    } | changes
    return [row, row | {"distribution": "balanced"}, row | {"moe_ep_size": 8}]


def test_kernels_of_experts_are_fitted_apart(tmp_path: Path) -> None:
    rows = expert_rows() + expert_rows(kernel_source="other", latency=0.2)
    pd.DataFrame(rows).to_parquet(tmp_path / "moe.parquet")
    found = list(measured_experts(tmp_path))
    assert [(one.kernel, one.took_s.tolist()) for one in found] == [
        ("gated fp8", [pytest.approx(1e-4)]),
        ("other fp8", [pytest.approx(2e-4)]),
    ]


def test_experts_without_a_gate_have_two_matrices_and_stand_in_only_where_no_other_was_measured(tmp_path: Path) -> None:
    bare = expert_rows(kernel_source="bare", topk=22, num_experts=512)
    pd.DataFrame(bare).to_parquet(tmp_path / "moe.parquet")
    (alone,) = measured_experts(tmp_path)
    assert np.ravel(alone.work.flop).tolist() == [2.0 * 16 * 22 * 2 * 1024 * 512]
    pd.DataFrame(bare + expert_rows()).to_parquet(tmp_path / "moe.parquet")
    (beside,) = measured_experts(tmp_path)
    assert np.ravel(beside.work.flop).tolist() == [2.0 * 16 * 8 * 3 * 1024 * 512]


def fitted_kernel(kernel: str, engine: str, slower: float) -> Fitted:
    """The measured one under these names, so many times as slow."""
    points = replace(measured(), kernel=kernel, engine=engine)
    points.took_s[:] *= slower
    curve = fit_curve(points, PEAKS, seed=1)
    assert curve is not None
    return Fitted(points=points, peaks=PEAKS, curve=curve)


def test_of_several_kernels_the_quickest_is_taken_and_stands_for_engines_without_one() -> None:
    fitted = [fitted_kernel(*one) for one in (("a", "vllm", 1.0), ("b", "vllm", 3.0), ("c", "sglang", 2.0))]
    launches = {one.engine: one.launch_us for one in chosen_curves(fitted)}
    assert launches["vllm"] == launches["any"] == fitted[0].curve.launch_us
    assert launches["sglang"] == fitted[2].curve.launch_us


def test_the_general_kernel_of_an_engine_is_kept_beside_a_quicker_one() -> None:
    fitted = [
        fitted_kernel(*one)
        for one in (("made", "sglang", 1.0), ("in_triton", "sglang", 2.0), ("in_triton", "vllm", 3.0))
    ]
    launches = {one.engine: one.launch_us for one in chosen_curves(fitted)}
    made, general, alone = (one.curve.launch_us for one in fitted)
    assert launches == {"sglang": made, "sglang/general": general, "vllm": alone, "any": made}


def test_an_all_reduce_is_found_again_with_how_it_grows_with_its_ranks() -> None:
    ranks, sent = (np.ravel(one) for one in np.meshgrid([2.0, 4.0, 8.0], np.geomspace(1e3, 5e8, 30)))
    absent = np.asarray(0.0)
    known = Curves(
        launch_s=np.asarray(5e-6),
        flop_s=np.asarray(1e15),
        bytes_s=np.asarray(0.6 * 4e12),
        unhidden=np.asarray(1.0),
        depth_s=np.asarray(0.2e-6),
        side_weight=np.asarray(0.8),
        padding_rows=absent,
        input_weight=absent,
        spread=np.asarray(0.5),
        direct_bytes=np.asarray(1e6),
    )
    points = Measured(
        operation=Operation.ALL_REDUCE,
        gpu="b200-sxm",
        engine="vllm",
        precision="bf16",
        work=Work(flop=np.zeros_like(sent), main_bytes=sent, depth=ranks - 1.0),
        took_s=known.time_s(known.reduce_work(sent, peers=ranks - 1.0)),
    )
    found = fit_curve(points, PEAKS, seed=1)
    assert found is not None
    assert found.spread_exponent == pytest.approx(0.5, rel=0.05)
    assert found.direct_mb == pytest.approx(1.0, rel=0.2)
    assert found.bandwidth_efficiency == pytest.approx(0.6, rel=0.05)
    assert found.input_weight == 0.0
