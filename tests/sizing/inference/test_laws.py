"""Laws of the physics of inference that hold for any workload."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.catalog.catalog import Catalog
from service.quoting.indicative import weights
from service.sizing.architecture import count
from service.sizing.estimate import estimate
from service.sizing.hardware import Hardware
from service.sizing.inference.layout import legal_layouts
from service.sizing.inference.load import model_load
from service.sizing.inference.operate import operate
from service.sizing.inference.requests import Traffic
from service.sizing.inference.serving import bench_of
from service.sizing.inference.software import software_of
from service.sizing.precision import Precision
from service.sizing.result import Estimate, SizingResult
from service.sizing.table import FloatArray, table_of
from service.sizing.workload import (
    Demand,
    Deployment,
    InferenceWorkload,
    Load,
    LoadKind,
    Serving,
    Slo,
    TokenLength,
)
from tests.build import deployment, inference_workload
from tests.facts import own_book, own_catalog
from tests.sizing.inference.sizings import sized as sized_by

CATALOG = own_catalog()
WEIGHT = weights(CATALOG.hardware, own_book())
B200 = "poweredge-xe9780-b200"
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


def test_few_clients_with_long_prompts_and_short_answers_never_multiply_faster_than_the_gpu_does() -> None:
    gpu = next(one for one in CATALOG.hardware.gpus if one.id == "b200-sxm")
    params = count(CATALOG.models["llama-3.1-70b"].architecture).matmul_params
    waited = 0.0
    for clients in (1, 2, 3, 4, 6, 8, 16, 64):
        found = estimate(
            inference_workload(
                isl_tokens=TokenLength(mean=8000.0), osl_tokens=TokenLength(mean=10.0), weight_precision=Precision.FP8
            ),
            deployment(gpus=1, tp=1, load=Load(kind=LoadKind.CONCURRENCY, value=clients)),
            hardware=CATALOG.hardware,
            architecture=CATALOG.models["llama-3.1-70b"].architecture,
            application=None,
            calibration=CATALOG.calibration,
        )
        assert metric(found, "requests_s") * 2.0 * params * 8000.0 < (gpu.fp8_dense_tflops or 0.0) * 1e12, clients
        assert metric(found, "ttft_ms") > waited, clients
        waited = metric(found, "ttft_ms")


@pytest.mark.parametrize("model", ["mixtral-8x7b", "gpt-oss-120b", "llama-3.1-70b"])
def test_a_load_however_small_decodes_no_faster_than_one_request_alone(model: str) -> None:
    rare, alone = (
        estimate(
            inference_workload(model=model),
            deployment(load=load),
            hardware=CATALOG.hardware,
            architecture=CATALOG.models[model].architecture,
            application=None,
            calibration=CATALOG.calibration,
        )
        for load in (
            Load(kind=LoadKind.RATE, requests_s=0.001),
            Load(kind=LoadKind.CONCURRENCY, value=1),
        )
    )
    assert metric(rare, "tpot_ms") > 0.999 * metric(alone, "tpot_ms")


def test_one_client_of_many_copies_asks_again_when_it_is_answered() -> None:
    found = estimate(
        inference_workload(
            model="llama-3.1-8b", isl_tokens=TokenLength(mean=30_000.0), osl_tokens=TokenLength(mean=10.0)
        ),
        deployment(gpus=64, tp=1, load=Load(kind=LoadKind.CONCURRENCY, value=1)),
        hardware=CATALOG.hardware,
        architecture=CATALOG.models["llama-3.1-8b"].architecture,
        application=None,
        calibration=CATALOG.calibration,
    )
    took_ms = metric(found, "ttft_ms") + 9.0 * metric(found, "tpot_ms")
    assert metric(found, "requests_s") * took_ms / 1000.0 == pytest.approx(1.0, rel=0.02)


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


def sized(
    workload: InferenceWorkload, *, hardware: Hardware = CATALOG.hardware, weight: FloatArray = WEIGHT, **limits: object
) -> SizingResult:
    return sized_by(CATALOG, weight, workload, hardware=hardware, **limits)


def fewest(workload: InferenceWorkload, *, hardware: Hardware = CATALOG.hardware) -> float:
    """Servers of one kind that the workload takes; infinite where no number of them will do."""
    options = sized(workload, hardware=hardware, allowed_servers=(B200,)).options
    return min((option.servers for option in options), default=float("inf"))


FEW = settings(max_examples=8, deadline=None)
SERVED = st.builds(
    lambda model, isl, osl, serving: inference_workload(
        model=model,
        isl_tokens=TokenLength(mean=float(isl)),
        osl_tokens=TokenLength(mean=float(osl)),
        serving=serving,
    ),
    model=st.sampled_from(("llama-3.1-70b", "gpt-oss-120b", "deepseek-v3", "gemma-3-27b")),
    isl=st.integers(100, 8_000),
    osl=st.integers(20, 1_000),
    serving=st.sampled_from(Serving),
)
BOUNDS = st.builds(lambda ttft, tpot: Slo(ttft_ms=ttft, tpot_ms=tpot), st.floats(300.0, 9_000.0), st.floats(10.0, 90.0))


@FEW
@given(workload=SERVED, slo=BOUNDS, looser=st.floats(1.0, 4.0))
def test_a_looser_slo_never_needs_more_servers(workload: InferenceWorkload, slo: Slo, looser: float) -> None:
    wide = Slo(ttft_ms=looser * (slo.ttft_ms or 0.0), tpot_ms=looser * (slo.tpot_ms or 0.0))
    assert fewest(replace(workload, slo=wide)) <= fewest(replace(workload, slo=slo))


@FEW
@given(workload=SERVED, slo=BOUNDS, rate=st.floats(0.5, 100.0), share=st.floats(0.05, 1.0))
def test_a_lower_load_never_needs_more_servers(
    workload: InferenceWorkload, slo: Slo, rate: float, share: float
) -> None:
    full, part = (
        fewest(replace(workload, slo=slo, demand=Demand(requests_s=demand))) for demand in (rate, rate * share)
    )
    assert part <= full


@FEW
@given(workload=SERVED, slo=BOUNDS, concurrency=st.integers(1, 2_000))
def test_double_concurrency_never_needs_fewer_gpus(workload: InferenceWorkload, slo: Slo, concurrency: int) -> None:
    one, two = (
        fewest(replace(workload, slo=slo, demand=Demand(concurrency=float(many))))
        for many in (concurrency, 2 * concurrency)
    )
    assert two >= one


@FEW
@given(workload=SERVED, slo=BOUNDS, times=st.floats(1.0, 3.0))
def test_a_faster_gpu_with_everything_else_equal_never_needs_more(
    workload: InferenceWorkload, slo: Slo, times: float
) -> None:
    asked = replace(workload, slo=slo)
    assert fewest(asked, hardware=faster(times)) <= fewest(asked)


def faster(times: float) -> Hardware:
    """The catalog with a B200 that multiplies and reads so many times as fast."""
    names = ("memory_bandwidth_tb_s", "bf16_dense_tflops", "fp16_dense_tflops", "fp8_dense_tflops", "fp4_dense_tflops")
    gpus = tuple(
        replace(gpu, **{name: times * getattr(gpu, name) for name in names}) if gpu.id == "b200-sxm" else gpu
        for gpu in CATALOG.hardware.gpus
    )
    return replace(CATALOG.hardware, gpus=gpus)


@FEW
@given(workload=SERVED, tp=st.sampled_from((1, 2, 4, 8)), copies=st.integers(1, 6))
def test_more_gpus_never_lower_capacity(workload: InferenceWorkload, tp: int, copies: int) -> None:
    carried = [
        metric(
            estimate(
                workload,
                Deployment(gpu="b200-sxm", gpus=gpus, tp=tp, load=Load(kind=LoadKind.SATURATED)),
                hardware=CATALOG.hardware,
                architecture=CATALOG.models[str(workload.model)].architecture,
                application=None,
                calibration=CATALOG.calibration,
            ),
            "output_tokens_s",
        )
        for gpus in (tp * copies, tp * copies + 1, tp * (copies + 1))
    ]
    assert carried == sorted(carried)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "gpt-oss-120b"])
@settings(max_examples=3, deadline=None)
@given(isl=st.integers(50, 8_000), osl=st.integers(10, 2_000))
def test_size_equals_brute_force_over_estimate(model: str, isl: int, osl: int) -> None:
    """Over every layout of one server: the option carries as much as the best that estimate finds."""
    workload = inference_workload(
        model=model,
        isl_tokens=TokenLength(mean=float(isl)),
        osl_tokens=TokenLength(mean=float(osl)),
        demand=Demand(saturate_gpus=8),
        slo=None,
        serving=Serving.AGGREGATED,
    )
    architecture = CATALOG.models[model].architecture
    load = model_load(architecture, weight=Precision.FP8, kv=Precision.FP8)
    row = next(i for i, server in enumerate(CATALOG.hardware.servers) if server.id == B200)
    legal = legal_layouts(load, table_of(CATALOG.hardware), np.array([row]))
    legal = legal.take(np.flatnonzero(legal.gpus_instance <= 8))
    found = [
        estimate(
            workload,
            Deployment(
                gpu="b200-sxm",
                gpus=8,
                server=B200,
                tp=tp,
                pp=pp,
                attention_dp=attention_dp,
                load=Load(kind=LoadKind.SATURATED),
            ),
            hardware=CATALOG.hardware,
            architecture=architecture,
            application=None,
            calibration=CATALOG.calibration,
        )
        for tp, pp, attention_dp in zip(legal.tp.tolist(), legal.pp.tolist(), legal.attention_dp.tolist(), strict=True)
    ]
    best = max(metric(one, "output_tokens_s") for one in found if one.fits)
    options = sized(workload, allowed_servers=(B200,)).options
    most = max(m.interval.p50 for o in options for m in o.metrics if m.name == "output_tokens_s")
    # The largest batch need not carry most; the search may stop before it, never carry less.
    assert most >= best * (1.0 - 1e-3)
    assert most == pytest.approx(best, rel=0.05)


@settings(max_examples=5, deadline=None)
@given(workload=SERVED, order=st.permutations(range(len(CATALOG.hardware.servers))))
def test_catalog_order_never_changes_an_answer(workload: InferenceWorkload, order: list[int]) -> None:
    asked = replace(workload, weight_precision=Precision.AUTO, kv_precision=Precision.AUTO)
    hardware = CATALOG.hardware
    turned = replace(
        hardware, gpus=tuple(reversed(hardware.gpus)), servers=tuple(hardware.servers[place] for place in order)
    )
    assert sized(asked, hardware=turned, weight=WEIGHT[order]) == sized(asked)


@settings(max_examples=4, deadline=None)
@given(workloads=st.lists(SERVED, min_size=2, max_size=3))
def test_answers_are_equal_to_the_byte_in_any_order_and_again(workloads: list[InferenceWorkload]) -> None:
    forth = [repr(sized(workload)) for workload in workloads]
    assert [repr(sized(workload)) for workload in reversed(workloads)] == forth[::-1]


@FEW
@given(workload=SERVED)
def test_a_server_alone_is_answered_as_among_all(workload: InferenceWorkload) -> None:
    among = {option.server: option for option in reversed(sized(workload).options)}
    for server in sorted(among)[::5]:
        best = sized(workload, allowed_servers=(server,)).options[0]
        assert repr(replace(best, rank=0)) == repr(replace(among[server], rank=0))
