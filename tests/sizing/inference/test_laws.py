"""Laws of the physics of inference that hold for any workload."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.environment import ROOT
from service.catalog.catalog import Catalog
from service.catalog.load import load_catalog
from service.sizing.estimate import estimate
from service.sizing.inference.layout import legal_layouts
from service.sizing.inference.load import model_load
from service.sizing.inference.operate import operate
from service.sizing.inference.serving import Traffic, bench_of
from service.sizing.inference.software import software_of
from service.sizing.precision import Precision
from service.sizing.result import Estimate
from service.sizing.table import table_of
from service.sizing.workload import Load, LoadKind, TokenLength
from tests.build import deployment, inference_workload

CATALOG = load_catalog(ROOT / "config")
TRAFFIC = Traffic(
    isl_tokens=1500.0,
    osl_tokens=300.0,
    isl_tail_tokens=4000.0,
    hit_fraction=0.2,
    percentile_fraction=0.95,
    speculative=None,
)
MODELS = ("llama-3.1-70b", "deepseek-v3", "gpt-oss-120b", "qwen3.5-397b-a17b", "nemotron-3-nano-30b-a3b", "gemma-3-27b")


def estimated(catalog: Catalog, *, model: str = "llama-3.1-70b", concurrency: int = 32, **changes: object) -> Estimate:
    return estimate(
        inference_workload(model=model, **changes),
        deployment(load=Load(kind=LoadKind.CONCURRENCY, value=concurrency)),
        hardware=catalog.hardware,
        architecture=catalog.models[model].architecture,
        application=None,
        calibration=catalog.calibration,
    )


def metric(found: Estimate, name: str) -> float:
    return next(m.interval.p50 for m in found.metrics if m.name == name)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("disaggregated", [False, True])
def test_one_candidate_alone_equals_its_row_among_all(model: str, disaggregated: bool) -> None:
    load = model_load(CATALOG.models[model].architecture, weight=Precision.FP8, kv=Precision.FP8)
    table = table_of(CATALOG.hardware)
    every = legal_layouts(load, table, np.arange(len(table.servers)))
    known = np.flatnonzero(~np.isnan(table.bandwidth_bytes_s[every.server]))
    every = every.take(known)
    batch = np.linspace(1.0, 300.0, every.tp.size)

    def bench(rows):
        return bench_of(
            load,
            every.take(rows),
            software=software_of(None, None, CATALOG.calibration),
            table=table,
            calibration=CATALOG.calibration,
            disaggregated=disaggregated,
        )

    everything = bench(np.arange(every.tp.size))
    whole = operate(everything, batch=batch, traffic=TRAFFIC)
    for row in range(0, every.tp.size, 7):
        rows = np.array([row])
        alone = operate(bench(rows), batch=batch[rows], traffic=TRAFFIC)
        taken = operate(everything.take(rows), batch=batch[rows], traffic=TRAFFIC)
        np.testing.assert_array_equal(alone.tpot_s, taken.tpot_s)
        for name in ("ttft_s", "tpot_s", "requests_s", "in_flight", "ttft_tail_s"):
            np.testing.assert_array_equal(getattr(whole, name)[row], getattr(alone, name)[0])


@settings(max_examples=25, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    isl=st.integers(1, 30_000),
    osl=st.integers(1, 4_000),
    concurrency=st.integers(1, 2_000),
)
def test_quantiles_are_ordered_and_finite(model: str, isl: int, osl: int, concurrency: int) -> None:
    found = estimated(
        CATALOG,
        model=model,
        concurrency=concurrency,
        isl_tokens=TokenLength(mean=float(isl)),
        osl_tokens=TokenLength(mean=float(osl)),
    )
    for m in found.metrics:
        assert 0.0 < m.interval.p10 <= m.interval.p50 <= m.interval.p90 < float("inf"), m.name


@settings(max_examples=15, deadline=None)
@given(isl=st.integers(100, 20_000), more=st.integers(1, 10_000))
def test_a_longer_prompt_never_answers_sooner(isl: int, more: int) -> None:
    short, long = (estimated(CATALOG, concurrency=8, isl_tokens=TokenLength(mean=float(n))) for n in (isl, isl + more))
    assert metric(long, "ttft_ms") >= metric(short, "ttft_ms")


def test_a_faster_gpu_with_everything_else_equal_is_never_slower() -> None:
    hardware = CATALOG.hardware
    doubled = tuple(
        replace(g, memory_bandwidth_tb_s=2 * (g.memory_bandwidth_tb_s or 0)) if g.id == "b200-sxm" else g
        for g in hardware.gpus
    )
    slow = metric(estimated(CATALOG), "tpot_ms")
    assert metric(estimated(replace(CATALOG, hardware=replace(hardware, gpus=doubled))), "tpot_ms") < slow


def test_prefix_hits_shorten_the_time_to_first_token() -> None:
    assert metric(estimated(CATALOG, prefix_cache_hit_fraction=0.9), "ttft_ms") < metric(estimated(CATALOG), "ttft_ms")


def test_memory_per_gpu_never_rises_with_tp() -> None:
    found = [
        estimate(
            inference_workload(),
            deployment(tp=tp, dp=1, load=Load(kind=LoadKind.CONCURRENCY, value=8)),
            hardware=CATALOG.hardware,
            architecture=CATALOG.models["llama-3.1-70b"].architecture,
            application=None,
            calibration=CATALOG.calibration,
        )
        for tp in (1, 2, 4, 8)
    ]
    for part in ("weights", "activations"):
        sizes = [next(p.gb for p in f.memory_gb_gpu if p.part == part) for f in found]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] > sizes[-1]
    assert found[0].memory_used_gb_gpu > found[-1].memory_used_gb_gpu


def test_a_model_that_cannot_fit_is_predicted_and_said_not_to_fit() -> None:
    found = estimate(
        inference_workload(model="deepseek-v3"),
        deployment(gpus=1, tp=1),
        hardware=CATALOG.hardware,
        architecture=CATALOG.models["deepseek-v3"].architecture,
        application=None,
        calibration=CATALOG.calibration,
    )
    assert not found.fits
    assert found.memory_used_gb_gpu > found.memory_usable_gb_gpu
