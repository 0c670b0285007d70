"""A stated deployment is taken at its word or refused; nothing of it is silently ignored."""

import math
from dataclasses import replace

import pytest

from service.catalog.catalog import Catalog
from service.errors import InvalidRequestError, UnsupportedWorkloadError
from service.sizing.estimate import estimate
from service.sizing.precision import Precision
from service.sizing.result import Estimate
from service.sizing.workload import InferenceWorkload, Load, LoadKind, Pool, Serving, Slo, TokenLength
from tests.build import deployment, inference_workload


def estimated(catalog: Catalog, workload: InferenceWorkload | None = None, **stated: object) -> Estimate:
    workload = workload or inference_workload()
    return estimate(
        workload,
        deployment(**stated),
        hardware=catalog.hardware,
        architecture=catalog.models[str(workload.model)].architecture,
        application=None,
        calibration=catalog.calibration,
    )


def p50(found: Estimate, name: str) -> float:
    return next(m.interval.p50 for m in found.metrics if m.name == name)


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"gpus": 16, "tp": 4, "dp": 5}, "deployment.dp"),
        ({"gpus": 16, "tp": 4, "replicas": 5}, "deployment.replicas"),
        ({"gpus": 16, "tp": 4, "dp": 2, "replicas": 3}, "deployment.replicas"),
        ({"tp": 7}, "deployment.tp"),
        ({"gpus": 4, "tp": 8}, "deployment.gpus"),
        ({"gpus": 256, "tp": 1, "pp": 128}, "deployment.pp"),
        ({"tp": 8, "ep": 3}, "deployment.ep"),
        ({"ep": 2}, "deployment.ep"),
        ({"moe_tp": 2}, "deployment.moe_tp"),
        (
            {"mode": Serving.DISAGGREGATED, "prefill": Pool(tp=1, gpus=6), "decode": Pool(tp=1, gpus=6)},
            "deployment.gpus",
        ),
        (
            {"mode": Serving.DISAGGREGATED, "prefill": Pool(tp=2, instances=3, gpus=4), "decode": Pool(tp=1)},
            "deployment.prefill.gpus",
        ),
    ],
)
def test_degrees_that_contradict_each_other_are_refused_by_name(catalog, stated, field) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        estimated(catalog, **stated)
    assert caught.value.detail.errors[0].field == field


@pytest.mark.parametrize(("stated", "ep"), [({"ep": 8}, 8), ({"ep": 2}, 2), ({"moe_tp": 8}, 1)])
def test_experts_are_split_as_was_asked_where_all_else_is_left_open(catalog: Catalog, stated, ep) -> None:
    workload = inference_workload(model="gpt-oss-120b")
    found = estimated(catalog, workload, gpus=8, **stated)
    assert found.layout is not None
    assert found.layout.ep == ep
    assert not any(a.field == "deployment.ep" for a in found.assumed)
    with pytest.raises(InvalidRequestError) as caught:
        estimated(catalog, workload, gpus=8, ep=3)
    assert caught.value.detail.errors[0].limit == "8"


def test_the_pools_that_are_too_large_are_told_with_what_they_take(catalog: Catalog) -> None:
    pools = {"prefill": Pool(tp=1, gpus=6), "decode": Pool(tp=1, gpus=6)}
    with pytest.raises(InvalidRequestError, match="are 12") as caught:
        estimated(catalog, gpus=8, mode=Serving.DISAGGREGATED, **pools)
    assert caught.value.detail.errors[0].limit == "12"


def test_the_mode_that_the_workload_asks_for_is_taken_where_the_deployment_says_none(catalog: Catalog) -> None:
    workload = inference_workload(serving=Serving.DISAGGREGATED)
    asked, stated = (
        estimated(catalog, workload, gpus=8, tp=2, mode=mode) for mode in (Serving.AUTO, Serving.DISAGGREGATED)
    )
    assert asked.metrics == stated.metrics
    assert asked.prefill == stated.prefill is not None


def test_copies_are_what_was_asked_and_idle_gpus_are_said(catalog: Catalog) -> None:
    found = estimated(catalog, gpus=16, tp=4, dp=2)
    assert found.replicas == 2
    assert any(a.field == "deployment.gpus" and "8 idle" in a.value for a in found.assumed)
    assert estimated(catalog, gpus=16, tp=4).replicas == 4


@pytest.mark.parametrize("dp", [1, 2, 4])
def test_copies_alone_get_the_layout_in_which_so_many_carry_most(catalog: Catalog, dp: int) -> None:
    """And not the one in which as many as the GPUs hold would."""
    open_ = estimated(catalog, tp=None, dp=dp, load=Load(kind=LoadKind.SATURATED))
    stated = [
        estimated(catalog, tp=tp, pp=pp, dp=dp, load=Load(kind=LoadKind.SATURATED))
        for tp in (1, 2, 4, 8)
        for pp in (1, 2, 4, 8)
        if tp * pp * dp <= 8
    ]
    assert p50(open_, "output_tokens_s") == max(p50(found, "output_tokens_s") for found in stated if found.fits)
    assert not any("idle" in told.value for told in open_.assumed)


@pytest.mark.parametrize("clients", [1, 16, 256, 4000])
def test_an_open_layout_is_the_one_in_which_the_clients_are_served_soonest(catalog: Catalog, clients: int) -> None:
    """One client alone by all GPUs together, thousands by copies of the model."""
    asked = {"gpus": 8, "load": Load(kind=LoadKind.CONCURRENCY, value=clients)}
    open_ = estimated(catalog, tp=None, **asked)
    stated = [estimated(catalog, tp=tp, **asked) for tp in (1, 2, 4, 8)]
    best = max(p50(found, "output_tokens_s") for found in stated if found.fits)
    assert p50(open_, "output_tokens_s") >= 0.999 * best


def test_an_open_layout_is_the_one_that_carries_most_within_the_bounds(catalog: Catalog) -> None:
    """And not the one that would carry most without them: copies on one GPU each, too slow for the bounds."""
    workload = inference_workload(slo=Slo(ttft_ms=1000.0, tpot_ms=12.0, percentile=99.0))
    asked = {"gpus": 8, "load": Load(kind=LoadKind.HIGHEST_RATE_WITHIN_SLO)}
    open_ = estimated(catalog, workload, tp=None, **asked)
    stated = [estimated(catalog, workload, tp=tp, **asked) for tp in (1, 2, 4, 8)]
    best = max(p50(found, "output_tokens_s") for found in stated if found.fits and found.meets_slo)
    assert open_.meets_slo
    assert p50(open_, "output_tokens_s") >= 0.999 * best


def test_a_rate_above_the_capacity_is_refused_with_the_capacity(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="queue grows") as caught:
        estimated(catalog, load=Load(kind=LoadKind.RATE, requests_s=1e6))
    limit = float(str(caught.value.detail.errors[0].limit))
    carried = estimated(catalog, load=Load(kind=LoadKind.RATE, requests_s=0.9 * limit))
    assert p50(carried, "requests_s") == pytest.approx(0.9 * limit, rel=1e-4)


def test_a_small_rate_is_carried_whole(catalog: Catalog) -> None:
    found = estimated(catalog, gpus=16, load=Load(kind=LoadKind.RATE, requests_s=0.5))
    rate = next(m.interval for m in found.metrics if m.name == "requests_s")
    assert (rate.p10, rate.p50, rate.p90) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("mode", [Serving.AGGREGATED, Serving.DISAGGREGATED])
def test_a_light_closed_loop_does_not_queue(catalog: Catalog, mode: Serving) -> None:
    light = {"gpus": 16, "tp": 4, "mode": mode}
    one, eight = (
        p50(estimated(catalog, load=Load(kind=LoadKind.CONCURRENCY, value=n), **light), "ttft_ms") for n in (1, 8)
    )
    assert eight < 1.5 * one


def test_disaggregated_carries_the_rate_that_was_asked(catalog: Catalog) -> None:
    full = estimated(catalog, gpus=16, tp=4, mode=Serving.DISAGGREGATED)
    rate = 0.6 * p50(full, "requests_s")
    found = estimated(
        catalog, gpus=16, tp=4, mode=Serving.DISAGGREGATED, load=Load(kind=LoadKind.RATE, requests_s=rate)
    )
    assert p50(found, "requests_s") == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize("clients", [4, 256, 4096])
def test_open_pools_carry_at_least_what_any_stated_ones_of_the_smallest_prefill_do(
    catalog: Catalog, clients: int
) -> None:
    """Few clients leave one instance to prefill and all other GPUs to decode; many are shared as their rates match."""
    asked = {"gpus": 16, "mode": Serving.DISAGGREGATED, "load": Load(kind=LoadKind.CONCURRENCY, value=clients)}
    open_ = estimated(catalog, tp=None, **asked)
    assert open_.prefill is not None
    assert open_.decode is not None
    prefill = Pool(tp=open_.prefill.tp, attention_dp=open_.prefill.attention_dp)
    stated = [estimated(catalog, tp=None, **asked, prefill=prefill, decode=Pool(tp=tp)) for tp in (1, 2, 4, 8)]
    assert p50(open_, "output_tokens_s") >= 0.999 * max(p50(found, "output_tokens_s") for found in stated if found.fits)
    if clients == 4:
        assert open_.prefill.instances * open_.prefill.tp <= 8


@pytest.mark.parametrize("clients", [8, 512, 8192])
def test_clients_of_pools_are_those_that_littles_law_counts(catalog: Catalog, clients: int) -> None:
    """Throughput x (TTFT + TPOT of the later tokens), whichever pool is short."""
    pools = {"prefill": Pool(tp=4, instances=1), "decode": Pool(tp=4, instances=3)}
    load = Load(kind=LoadKind.CONCURRENCY, value=clients)
    workload = inference_workload()
    found = estimated(catalog, workload, gpus=16, tp=None, mode=Serving.DISAGGREGATED, load=load, **pools)
    held = p50(found, "ttft_ms") + (workload.osl_tokens.mean - 1.0) * p50(found, "tpot_ms")
    assert p50(found, "requests_s") * held / 1000.0 == pytest.approx(clients, rel=0.02)


def test_a_gpu_of_which_too_little_is_known_is_refused(catalog: Catalog) -> None:
    unknown = tuple(
        replace(gpu, memory_bandwidth_tb_s=None) if gpu.id == "h100-sxm-96gb" else gpu for gpu in catalog.hardware.gpus
    )
    vague = replace(catalog, hardware=replace(catalog.hardware, gpus=unknown))
    with pytest.raises(UnsupportedWorkloadError) as caught:
        estimated(vague, inference_workload(model="llama-3.1-8b"), gpu="h100-sxm-96gb", gpus=1, tp=1)
    assert caught.value.detail.errors[0].field == "deployment.gpu"


def test_every_known_gpu_gives_finite_numbers(catalog: Catalog) -> None:
    for gpu in catalog.hardware.gpus:
        try:
            found = estimated(catalog, inference_workload(model="llama-3.1-8b"), gpu=gpu.id, gpus=1, tp=1)
        except UnsupportedWorkloadError:
            continue
        for m in found.metrics:
            assert all(math.isfinite(v) for v in (m.interval.p10, m.interval.p50, m.interval.p90)), (gpu.id, m.name)


def test_a_long_context_is_bound_by_the_cache(catalog: Catalog) -> None:
    workload = inference_workload(
        model="llama-3.1-8b", isl_tokens=TokenLength(mean=60_000.0), osl_tokens=TokenLength(mean=4_000.0), slo=None
    )
    found = estimated(catalog, workload, gpus=1, tp=1, load=Load(kind=LoadKind.CONCURRENCY, value=12))
    assert found.bottleneck == "memory bandwidth (KV cache)"


def test_a_pipeline_prefills_as_much_as_its_gpus(catalog: Catalog) -> None:
    """Eight stages work on eight prompts at once: as much as eight copies, less the hand-overs."""
    workload = inference_workload(
        model="llama-3.1-8b", isl_tokens=TokenLength(mean=8_000.0), osl_tokens=TokenLength(mean=1.0), slo=None
    )
    piped = p50(estimated(catalog, workload, tp=1, pp=8), "requests_s")
    copies = p50(estimated(catalog, workload, tp=1, pp=1), "requests_s")
    assert 0.6 * copies < piped <= copies


def test_gpus_without_nvlink_reduce_over_pcie_inside_the_server(catalog: Catalog) -> None:
    """The NIC of an R770 is slower than its PCIe: two GPUs must not be charged for the network."""
    workload = inference_workload(model="llama-3.1-8b", isl_tokens=TokenLength(mean=8_000.0), slo=None)
    stated = {"gpu": "rtx-pro-6000-se", "gpus": 2, "tp": 2, "load": Load(kind=LoadKind.CONCURRENCY, value=1)}
    small = p50(estimated(catalog, workload, server="poweredge-r770-rtx-pro-6000-se", **stated), "tpot_ms")
    large = p50(estimated(catalog, workload, server="poweredge-xe7745-rtx-pro-6000-se", **stated), "tpot_ms")
    assert small == pytest.approx(large, rel=1e-6)


def test_one_client_alone_waits_for_nobody(catalog: Catalog) -> None:
    """In a closed loop of one there is no other prompt to queue behind or to be slowed by."""
    workload = inference_workload(isl_tokens=TokenLength(mean=60_000.0), osl_tokens=TokenLength(mean=500.0), slo=None)
    found = estimated(catalog, workload, load=Load(kind=LoadKind.CONCURRENCY, value=1))
    steps = {s.name: s.value for s in found.working}
    assert steps["tpot_ms"] == pytest.approx(float(steps["decode_step_ms"] or 0.0), rel=1e-6)
    fitted = catalog.calibration.coefficient
    admission = fitted("inference.ttft_overhead_ms", "tensorrt-llm")
    admission += 60_000 * fitted("inference.ttft_token_us", "tensorrt-llm") / 1000
    joining = fitted("inference.admission_steps", "tensorrt-llm")
    alone = float(steps["prefill_ms"] or 0.0) + joining * float(steps["decode_step_ms"] or 0.0) + admission
    assert float(steps["ttft_ms"] or 0.0) == pytest.approx(alone, rel=1e-3)


@pytest.mark.parametrize("gpu", ["b200-sxm", "b300-sxm", "gb300", "rtx-pro-6000-se"])
@pytest.mark.parametrize("precision", [Precision.FP4, Precision.FP8, Precision.BF16])
def test_the_working_shows_no_rate_above_the_data_sheet(catalog: Catalog, gpu: str, precision: Precision) -> None:
    found = estimated(catalog, inference_workload(weight_precision=precision), gpu=gpu)
    sheet = catalog.hardware.gpu(gpu)
    shown = {s.name: s.value for s in found.working}
    shown |= {q.name: q.value for s in found.working for q in s.inputs}
    bandwidths = [float(value or 0.0) for name, value in shown.items() if name.endswith("_tb_s")]
    assert bandwidths == [sheet.memory_bandwidth_tb_s]
    assert "product_traffic_factor" in shown
    assert all(name == f"{precision}_dense_tflops" for name in shown if name.endswith("tflops"))


def test_the_working_leads_to_the_medians_that_the_answer_shows(catalog: Catalog) -> None:
    found = estimated(catalog, load=Load(kind=LoadKind.CONCURRENCY, value=1))
    steps = {s.name: s.value for s in found.working}
    assert steps["tpot_p50_ms"] == pytest.approx(p50(found, "tpot_ms"), rel=1e-5)
    assert steps["ttft_p50_ms"] == pytest.approx(p50(found, "ttft_ms"), rel=1e-5)
