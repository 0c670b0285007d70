"""The search over the whole catalog: what it returns, refuses, and how it compares with trying everything."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.errors import InvalidRequestError
from service.sizing.estimate import estimate
from service.sizing.precision import Precision
from service.sizing.result import Limit, SizingOption
from service.sizing.size import size
from service.sizing.table import FloatArray
from service.sizing.workload import (
    Availability,
    Demand,
    Deployment,
    Load,
    LoadKind,
    Serving,
    Slo,
    TokenLength,
)
from tests.build import inference_workload, question
from tests.sizing.inference.sizings import sized


def p50(option: SizingOption, name: str) -> float:
    return next(m.interval.p50 for m in option.metrics if m.name == name)


def test_every_option_meets_the_slo_at_the_asked_confidence(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight)
    assert result.feasible
    for option in result.options:
        assert option.confidence_fraction >= 0.8
        assert p50(option, "ttft_p95_ms") <= 4000.0
        assert p50(option, "tpot_p95_ms") <= 60.0
        assert option.memory_used_gb_gpu <= option.memory_usable_gb_gpu


def test_options_are_ranked_by_weight_and_the_pareto_front_is_among_them(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight)
    row = {s.id: i for i, s in enumerate(catalog.hardware.servers)}
    costs = [weight[row[o.server]] * o.servers for o in result.options]
    assert costs == sorted(costs)
    assert result.pareto
    assert set(result.pareto) <= {o.rank for o in result.options}


def losses(catalog: Catalog, weight: FloatArray, option: SizingOption, speed: str) -> tuple[float, float, float]:
    """What the ranking holds against an option: its weight, its power, and its speed turned round."""
    row = next(i for i, s in enumerate(catalog.hardware.servers) if s.id == option.server)
    power = option.facility.it_power_kw
    cost = float(weight[row]) * option.servers
    return cost, np.inf if power is None else power, -p50(option, speed)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "deepseek-v3", "gpt-oss-120b"])
@pytest.mark.parametrize(
    "asked",
    [
        {"demand": Demand(concurrency=50.0)},
        {"demand": Demand(concurrency=50.0), "slo": Slo(ttft_ms=2000.0, tpot_ms=50.0)},
        {"demand": Demand(concurrency=50.0), "slo": Slo(ttft_ms=1000.0, tpot_ms=40.0)},
        {"demand": Demand(requests_s=1.0)},
        {"demand": Demand(requests_s=1.0), "slo": Slo(ttft_ms=5000.0, tpot_ms=100.0)},
        {"demand": Demand(requests_s=30.0), "serving": Serving.DISAGGREGATED},
    ],
)
def test_no_option_beats_one_that_is_ranked_before_it(
    catalog: Catalog, weight: FloatArray, model: str, asked: dict[str, Any]
) -> None:
    workload = inference_workload(
        model=model,
        isl_tokens=TokenLength(mean=1000.0),
        osl_tokens=TokenLength(mean=500.0),
        weight_precision=Precision.AUTO,
        **{"slo": None, **asked},
    )
    options = sized(catalog, weight, workload).options
    speed = "output_tokens_s" if workload.slo is None and workload.demand.concurrency else "tokens_s_user"
    ranked = [losses(catalog, weight, option, speed) for option in options]
    for place, first in enumerate(ranked):
        beaten_by = [
            options[place + 1 + at].server
            for at, later in enumerate(ranked[place + 1 :])
            if later != first and all(b <= a for a, b in zip(first, later, strict=True))
        ]
        assert beaten_by == []


def test_catalog_order_never_changes_the_answer(catalog: Catalog, weight: FloatArray) -> None:
    """Ties between servers go by id, in whatever order the records stand."""
    hardware = catalog.hardware
    turned = replace(
        catalog,
        hardware=replace(hardware, gpus=tuple(reversed(hardware.gpus)), servers=tuple(reversed(hardware.servers))),
    )
    forth, back = sized(catalog, weight), sized(turned, weight[::-1])
    assert forth == back


def test_more_demand_never_needs_fewer_servers_of_a_kind(catalog: Catalog, weight: FloatArray) -> None:
    few, many = (sized(catalog, weight, inference_workload(demand=Demand(requests_s=rate))) for rate in (20.0, 40.0))
    needed = {o.server: o.servers for o in reversed(few.options)}
    for option in many.options:
        assert option.servers >= min(o.servers for o in few.options if o.server == option.server) or (
            option.server not in needed
        )


def test_a_looser_slo_never_needs_more(catalog: Catalog, weight: FloatArray) -> None:
    tight, loose = (
        sized(catalog, weight, inference_workload(slo=Slo(ttft_ms=ttft, tpot_ms=tpot)))
        for ttft, tpot in ((3000.0, 40.0), (6000.0, 80.0))
    )
    fewest = {}
    for option in loose.options:
        fewest[option.server] = min(option.servers, fewest.get(option.server, option.servers))
    for option in tight.options:
        assert fewest[option.server] <= option.servers


def test_n_plus_1_adds_one_server(catalog: Catalog, weight: FloatArray) -> None:
    plain = sized(catalog, weight)
    spare = sized(catalog, weight, inference_workload(availability=Availability.N_PLUS_1))
    by_server = {o.server: o.servers for o in reversed(plain.options)}
    first = {o.server: o for o in reversed(spare.options)}
    for server, option in first.items():
        assert option.servers == by_server[server] + 1
        assert option.spare_servers == 1


def test_growth_is_the_same_as_the_demand_at_the_end_of_the_horizon(catalog: Catalog, weight: FloatArray) -> None:
    grown = sized(catalog, weight, inference_workload(growth_fraction_year=1.0, horizon_months=12.0))
    double = sized(catalog, weight, inference_workload(demand=Demand(requests_s=40.0)))
    assert [(o.server, o.servers) for o in grown.options] == [(o.server, o.servers) for o in double.options]


def test_size_equals_brute_force_over_estimate(catalog: Catalog, weight: FloatArray) -> None:
    """Over every layout of one server: the option carries as much per GPU as the best that estimate finds."""
    workload = inference_workload(
        demand=Demand(saturate_gpus=8), slo=None, serving=Serving.AGGREGATED, model="llama-3.1-8b"
    )
    result = sized(catalog, weight, workload, allowed_servers=("poweredge-xe9780-b200",))
    best = 0.0
    for tp in (1, 2, 4, 8):
        for pp in (1, 2, 4, 8):
            if tp * pp <= 8:
                found = estimate(
                    workload,
                    Deployment(gpu="b200-sxm", gpus=8, tp=tp, pp=pp, load=Load(kind=LoadKind.SATURATED)),
                    hardware=catalog.hardware,
                    architecture=catalog.models["llama-3.1-8b"].architecture,
                    application=None,
                    calibration=catalog.calibration,
                )
                best = max(best, next(m.interval.p50 for m in found.metrics if m.name == "output_tokens_s"))
    assert max(p50(o, "output_tokens_s") for o in result.options) == pytest.approx(best, rel=1e-3)


def test_an_impossible_tpot_names_the_bound_and_the_best_that_is_reachable(
    catalog: Catalog, weight: FloatArray
) -> None:
    result = sized(catalog, weight, inference_workload(slo=Slo(tpot_ms=0.01)))
    assert not result.feasible
    assert result.options == ()
    assert result.shortfall is not None
    assert result.shortfall.limit is Limit.TPOT
    assert result.shortfall.best > 0.01
    assert "slo.tpot_ms" in result.shortfall.relaxation


def test_what_the_shortfall_says_would_do_does(catalog: Catalog, weight: FloatArray) -> None:
    refused = sized(catalog, weight, inference_workload(slo=Slo(tpot_ms=0.01)))
    assert refused.shortfall is not None
    again = sized(catalog, weight, inference_workload(slo=Slo(tpot_ms=refused.shortfall.best * 1.001)))
    assert again.feasible
    assert refused.shortfall.server in {o.server for o in again.options}


def test_a_gpu_without_the_asked_format_is_rejected_with_that_reason(catalog: Catalog, weight: FloatArray) -> None:
    workload = inference_workload(weight_precision=Precision.INT8)
    result = sized(catalog, weight, workload)
    refused = {r.server: r for r in result.rejected if r.limit is Limit.PRECISION}
    gpus = {s.id: catalog.hardware.gpu(s.gpu) for s in catalog.hardware.servers if not s.reference}
    lacking = {server for server, gpu in gpus.items() if gpu.int8_dense_tflops is None}
    # Blackwell Ultra cuts INT8 about thirty-fold: nobody would serve in it there.
    slow = {server for server, gpu in gpus.items() if (gpu.int8_dense_tflops or np.inf) < gpu.bf16_dense_tflops}
    assert lacking
    assert slow
    assert set(refused) == lacking | slow
    assert all(("does not multiply" in refused[server].detail) is (server in lacking) for server in refused)
    assert not set(refused) & {o.server for o in result.options}


def test_a_context_beyond_the_model_is_an_error_with_its_limit(catalog: Catalog, weight: FloatArray) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        sized(catalog, weight, inference_workload(isl_tokens=TokenLength(mean=200_000.0)))
    assert caught.value.detail.errors[0].limit == "131072"


def test_site_limits_reject_with_the_distance(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight, max_facility_kw=1.0)
    assert not result.feasible
    assert result.shortfall is not None
    assert result.shortfall.limit is Limit.FACILITY_POWER
    assert result.shortfall.best > 1.0 == result.shortfall.required


def test_no_option_draws_more_than_the_site_has(catalog: Catalog, weight: FloatArray) -> None:
    """Between the servers' own power and the whole fleet's lie the switches: a limit there must bind."""
    workload = inference_workload(
        model="deepseek-v3", demand=Demand(requests_s=300.0), serving=Serving.DISAGGREGATED, kv_precision=Precision.FP8
    )
    free = sized(catalog, weight, workload)
    limit = max(o.facility.facility_power_kw or 0.0 for o in free.options) - 1.0
    bound = sized(catalog, weight, workload, max_facility_kw=limit)
    assert len(bound.options) < len(free.options) or bound.options != free.options
    for option in bound.options:
        assert option.facility.facility_power_kw is not None
        assert option.facility.facility_power_kw <= limit


def test_the_tail_prompt_follows_the_percentile(catalog: Catalog, weight: FloatArray) -> None:
    length = TokenLength(mean=2048.0, p95=6000.0)
    tails = []
    for percentile in (90.0, 95.0, 99.0):
        slo = Slo(ttft_ms=60_000.0, tpot_ms=100.0, percentile=percentile)
        option = sized(catalog, weight, inference_workload(isl_tokens=length, slo=slo)).options[0]
        tails.append(p50(option, f"ttft_p{percentile:g}_ms") / p50(option, "ttft_ms"))
    assert tails == sorted(tails)
    assert tails[0] < tails[2]


def test_stored_weights_do_not_depend_on_the_layout(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight, inference_workload(model="deepseek-v3"))
    assert len({o.layout for o in result.options}) > 1
    assert len({o.storage.capacity_tb for o in result.options}) == 1


def test_tokens_per_gpu_count_the_gpus_that_serve(catalog: Catalog, weight: FloatArray) -> None:
    workload = inference_workload(model="llama-3.1-8b", demand=Demand(saturate_gpus=4), slo=None)
    option = sized(catalog, weight, workload, allowed_servers=("poweredge-xe9780-b200",)).options[0]
    assert option.gpus == 8
    assert p50(option, "tokens_s_gpu") == pytest.approx(p50(option, "output_tokens_s") / 4, rel=1e-4)


@pytest.mark.parametrize("model", ["llama-3.1-70b", "gpt-oss-120b", "deepseek-v3"])
def test_with_given_gpus_a_looser_slo_never_carries_less(catalog: Catalog, weight: FloatArray, model: str) -> None:
    """And one that binds nothing carries what none does."""

    def best(slo: Slo | None) -> float:
        workload = inference_workload(model=model, demand=Demand(saturate_gpus=8), slo=slo)
        result = sized(catalog, weight, workload, allowed_servers=("poweredge-xe9780-b200",))
        return p50(result.options[0], "output_tokens_s") if result.options else 0.0

    carried = [best(Slo(tpot_ms=bound)) for bound in (25.0, 50.0, 100.0, 60_000.0)]
    assert carried == sorted(carried)
    assert carried[-1] == pytest.approx(best(None), rel=1e-3)


def test_copies_fill_the_servers_that_are_bought(catalog: Catalog, weight: FloatArray) -> None:
    workload = inference_workload(model="llama-3.1-8b", demand=Demand(concurrency=8.0))
    option = sized(catalog, weight, workload, allowed_servers=("poweredge-xe9780-b200",)).options[0]
    assert option.replicas * option.gpus_instance == option.gpus
    assert not any("run no instance" in note for note in option.notes)


def test_a_reference_gpu_is_said_to_be_one(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight, allowed_gpus=("h100-sxm",))
    assert not result.feasible
    assert result.shortfall is not None
    assert "reference system" in result.shortfall.relaxation


def test_desktops_do_not_make_clusters(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(
        catalog, weight, inference_workload(demand=Demand(requests_s=200.0)), allowed_gpus=("gb300-desktop",)
    )
    assert all(o.servers <= 2 for o in result.options)


def test_what_a_demand_in_users_was_not_given_is_watched(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight, inference_workload(demand=Demand(users=20_000.0)))
    moved = {s.assumption: s for s in result.sensitivity}
    assert moved["inference.peak_factor"].at_high > moved["inference.peak_factor"].at_low


def test_constraints_that_are_not_judged_are_said(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight, destination_country="DE", deliver_by="2027-03-01")
    said = {a.field for a in result.assumed if "not evaluated" in a.value}
    assert said == {"constraints.destination_country", "constraints.deliver_by"}


def test_every_server_is_an_option_or_rejected(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight, cooling="air")
    named = {o.server for o in result.options} | {r.server for r in result.rejected}
    assert named == {s.id for s in catalog.hardware.servers if not s.reference}
    assert all(np.isfinite(r.candidates) and r.detail for r in result.rejected)


def test_results_are_equal_to_the_byte_however_often(catalog: Catalog, weight: FloatArray) -> None:
    assert repr(sized(catalog, weight)) == repr(sized(catalog, weight))


def test_a_model_too_large_for_every_server_says_what_would_fit(catalog: Catalog, weight: FloatArray) -> None:
    """Four times the layers of Kimi K3 are 11 T parameters: 22 TB in 16 bit, and 64 B200 hold 12 TB."""
    limits = {"allowed_servers": ("poweredge-xe9780-b200",)}
    wide = inference_workload(
        model="kimi-k3", weight_precision=Precision.BF16, kv_precision=Precision.BF16, slo=None, serving=Serving.AUTO
    )
    plain = catalog.models["kimi-k3"].architecture
    huge = replace(
        plain,
        layers=4 * plain.layers,
        mixers=tuple(replace(m, count=4 * m.count) for m in plain.mixers),
        ffns=tuple(replace(f, count=4 * f.count) for f in plain.ffns),
    )
    result = size(
        question(wide, **limits),
        hardware=catalog.hardware,
        architecture=huge,
        application=None,
        calibration=catalog.calibration,
        weight=weight,
    )
    assert not result.feasible
    assert result.shortfall is not None
    assert result.shortfall.limit is Limit.MEMORY
    assert result.shortfall.required > result.shortfall.best
    assert "weight_precision fp" in result.shortfall.relaxation


def test_a_disaggregated_option_names_both_pools(catalog: Catalog, weight: FloatArray) -> None:
    apart = sized(catalog, weight, inference_workload(serving=Serving.DISAGGREGATED))
    for option in apart.options:
        assert option.prefill is not None
        assert option.decode is not None
        assert option.prefill.instances + option.decode.instances == option.replicas
        assert (option.prefill.tp, option.decode.pp) == (option.layout.tp, option.layout.pp)
    together = sized(catalog, weight, inference_workload(serving=Serving.AGGREGATED))
    assert all(option.prefill is None and option.decode is None for option in together.options)


@pytest.mark.parametrize("demand", [Demand(concurrency=5.0), Demand(requests_s=300.0), Demand(saturate_gpus=8)])
def test_only_what_moves_the_answer_is_among_its_sensitivities(
    catalog: Catalog, weight: FloatArray, demand: Demand
) -> None:
    result = sized(catalog, weight, inference_workload(demand=demand))
    assert all(found.at_low != found.at_high for found in result.sensitivity)
    if demand.saturate_gpus:
        assert {found.metric for found in result.sensitivity} == {"requests_s"}
