"""Laws of the data sheet: whatever curves of kernels say, no memory and no tensor core is faster than it states."""

import numpy as np
import pytest

from service.sizing.estimate import estimate
from service.sizing.inference.layout import InferenceLayouts, legal_layouts
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.requests import Traffic
from service.sizing.inference.serving import ServingPoint, bench_of, serve
from service.sizing.inference.software import software_of
from service.sizing.precision import Precision
from service.sizing.table import FloatArray, HardwareTable, table_of
from service.sizing.workload import Load, LoadKind, ServingEngine, TokenLength
from tests.build import deployment, inference_workload
from tests.facts import own_catalog

CATALOG = own_catalog()
TABLE = table_of(CATALOG.hardware)
BATCHES = np.array([1.0, 2.0, 8.0, 32.0, 128.0, 512.0])
TRAFFIC = Traffic(
    isl_tokens=1000.0,
    osl_tokens=200.0,
    isl_tail_tokens=3000.0,
    hit_fraction=0.0,
    percentile_fraction=0.95,
    speculative=None,
)
DENSE = ("llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "qwen3-32b")
SPARSE = ("deepseek-v3", "gpt-oss-120b", "qwen3.5-397b-a17b")
PRECISIONS = (Precision.BF16, Precision.FP8, Precision.FP4)


def served(load: ModelLoad, engine: ServingEngine, *, disaggregated: bool) -> tuple[ServingPoint, InferenceLayouts]:
    every = legal_layouts(load, TABLE, np.arange(len(TABLE.servers)))
    every = every.take(np.flatnonzero(~np.isnan(TABLE.bandwidth_bytes_s[every.server])))
    bench = bench_of(
        load,
        every,
        software=software_of(engine, None, CATALOG.calibration),
        table=TABLE,
        calibration=CATALOG.calibration,
        disaggregated=disaggregated,
    )
    batch = np.broadcast_to(BATCHES, (every.tp.size, BATCHES.size))
    return serve(bench, batch=batch, traffic=TRAFFIC), every


def dense_peak(load: ModelLoad, layouts: InferenceLayouts, table: HardwareTable) -> FloatArray:
    formats = {load.weight_precision, load.mixer_precision, Precision.BF16}
    peaks = [np.nan_to_num(table.flop_s[one][layouts.server]) for one in formats]
    return np.maximum.reduce(peaks)[:, None]


@pytest.mark.parametrize("disaggregated", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", [*DENSE, *SPARSE])
def test_no_step_and_no_prefill_beats_the_data_sheet(model: str, precision: Precision, *, disaggregated: bool) -> None:
    load = model_load(CATALOG.models[model].architecture, weight=precision, kv=Precision.FP8)
    counts = load.counts
    for engine in (ServingEngine.TENSORRT_LLM, ServingEngine.VLLM):
        point, layouts = served(load, engine, disaggregated=disaggregated)
        tp, bandwidth = layouts.tp[:, None], TABLE.bandwidth_bytes_s[layouts.server][:, None]
        # What every token reads: norms and biases, a hair of it, are no products.
        ffns = (counts.dense_ffn_params + counts.shared_expert_params) * load.weight_bytes
        weights = 0.99 * (counts.mixer_params * load.mixer_bytes + ffns + 2.0 * load.head_matmul) / tp
        cache = 0.0
        if model in DENSE:
            shards = np.minimum(tp, load.groups[0].kv_heads)
            sequences = BATCHES / (layouts.attention_dp * layouts.pp)[:, None]
            cache = sequences * TRAFFIC.isl_tokens * counts.kv_elements_per_token * load.kv_bytes / shards
        # All stages one after another: the weights of the whole model, cut by tensor parallelism alone.
        assert (point.tpot_s >= (weights + cache) / bandwidth).all()
        ranks = tp * layouts.attention_dp[:, None]
        active = 0.99 * (counts.mixer_params + counts.dense_ffn_params + counts.shared_expert_params) / ranks
        prefill = 2.0 * active * TRAFFIC.isl_tokens / dense_peak(load, layouts, TABLE)
        assert (point.ttft_s >= prefill).all()
        assert (point.requests_s * TRAFFIC.osl_tokens <= BATCHES / point.tpot_least_s * (1.0 + 1e-9)).all()
        # Where prefill has GPUs of its own, they read what all requests bring.
        reading = ranks * layouts.pp[:, None] * (point.prefill_instances if disaggregated else 1.0)
        brought = 2.0 * active * ranks * TRAFFIC.isl_tokens
        assert (point.requests_most_s * brought <= reading * dense_peak(load, layouts, TABLE) * (1.0 + 1e-9)).all()
        assert (point.requests_s <= point.requests_most_s * (1.0 + 1e-9)).all()


def test_quick_kernels_do_not_outrun_the_memory_of_a_card() -> None:
    found = estimate(
        inference_workload(model="llama-3.1-70b", weight_precision=Precision.BF16),
        deployment(
            server="poweredge-r770-rtx-pro-6000-se",
            gpu="rtx-pro-6000-se",
            gpus=2,
            tp=2,
            pp=1,
            load=Load(kind=LoadKind.CONCURRENCY, value=1),
        ),
        hardware=CATALOG.hardware,
        architecture=CATALOG.models["llama-3.1-70b"].architecture,
        application=None,
        calibration=CATALOG.calibration,
    )
    tpot = next(m.interval for m in found.metrics if m.name == "tpot_ms")
    least = next(float(step.value or 0.0) for step in found.working if step.name == "tpot_least_ms")
    # Half of 69.5 billion parameters in 16 bit through 1.597 TB/s.
    assert least == pytest.approx(69.5 / 1.597, rel=0.02)
    assert least <= tpot.p10 <= tpot.p50 <= tpot.p90
    assert tpot.p50 > least


@pytest.mark.parametrize("model", SPARSE)
def test_one_request_in_a_pipeline_reads_its_experts_in_every_stage(model: str) -> None:
    load = model_load(CATALOG.models[model].architecture, weight=Precision.FP8, kv=Precision.FP8)
    point, layouts = served(load, ServingEngine.VLLM, disaggregated=False)
    staged = layouts.pp >= 2
    assert staged.any()
    # Two requests in two stages are one in each of two micro-batches.
    np.testing.assert_allclose(point.experts_s[staged, 0], point.experts_s[staged, 1], rtol=1e-12)


def test_one_token_reads_as_many_experts_as_it_chooses() -> None:
    architecture = CATALOG.models["mixtral-8x22b"].architecture
    load = model_load(architecture, weight=Precision.BF16, kv=Precision.BF16)
    point, layouts = served(load, ServingEngine.VLLM, disaggregated=True)
    read = load.counts.active_routed_expert_params * 2.0 / (layouts.tp * layouts.attention_dp)
    assert np.all(point.decode.least.multiplied[:, 0] >= read / TABLE.bandwidth_bytes_s[layouts.server])


@pytest.mark.parametrize(
    ("gpu", "weight"), [("b300-sxm", Precision.INT8), ("b300-sxm", Precision.FP8), ("b200-sxm", Precision.FP4)]
)
@pytest.mark.parametrize("load", [Load(kind=LoadKind.SATURATED), Load(kind=LoadKind.CONCURRENCY, value=1)])
def test_no_end_of_an_interval_beats_the_data_sheet(gpu: str, weight: Precision, load: Load) -> None:
    """INT8 is slow on Blackwell Ultra, so that arithmetic alone binds: intervals of others would reach beyond."""
    isl, osl, gpus = 4000.0, 128.0, 8
    architecture = CATALOG.models["llama-3.1-70b"].architecture
    found = estimate(
        inference_workload(
            model="llama-3.1-70b",
            weight_precision=weight,
            isl_tokens=TokenLength(mean=isl),
            osl_tokens=TokenLength(mean=osl),
            slo=None,
        ),
        deployment(gpu=gpu, gpus=gpus, tp=None, load=load),
        hardware=CATALOG.hardware,
        architecture=architecture,
        application=None,
        calibration=CATALOG.calibration,
    )
    metrics = {metric.name: metric.interval for metric in found.metrics}
    counts = model_load(architecture, weight=weight, kv=Precision.FP8).counts
    flop_token = 2.0 * 0.99 * (counts.mixer_params + counts.dense_ffn_params)
    row = next(row for row, one in enumerate(TABLE.gpus) if one.id == gpu)
    peak = gpus * TABLE.flop_s[weight][row]
    assert metrics["ttft_ms"].p10 / 1000.0 >= isl * flop_token / peak
    assert metrics["requests_s"].p90 * (isl + osl) * flop_token <= peak
