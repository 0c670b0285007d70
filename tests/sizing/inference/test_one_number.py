"""One number is shown, solved for and judged: the corrected median of the steady state."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.errors import InvalidRequestError
from service.quoting.indicative import weights
from service.sizing.estimate import estimate
from service.sizing.interval import Interval
from service.sizing.result import Estimate, SizingOption
from service.sizing.spoken import spoken
from service.sizing.workload import Demand, Deployment, InferenceWorkload, Load, LoadKind, Serving, Slo, TokenLength
from tests.build import inference_workload
from tests.facts import own_book, own_catalog
from tests.sizing.inference.sizings import sized as sized_by

CATALOG = own_catalog()
WEIGHT = weights(CATALOG.hardware, own_book())
# What rounding to 6 digits may hide.
ROUNDING = 1e-5
# Of six digits each number is off by half a unit of the last: 5e-6 of 1.00000, and three of them meet.
THREE_ROUNDED = 1.6e-5
SATURATED = Load(kind=LoadKind.SATURATED)
HIGHEST = Load(kind=LoadKind.HIGHEST_RATE_WITHIN_SLO)

WORKLOADS = st.builds(
    lambda model, isl, osl: inference_workload(
        model=model, isl_tokens=TokenLength(mean=float(isl)), osl_tokens=TokenLength(mean=float(osl)), slo=None
    ),
    model=st.sampled_from(("llama-3.1-70b", "gpt-oss-120b", "deepseek-v3", "gemma-3-27b")),
    isl=st.integers(100, 12_000),
    osl=st.integers(20, 1_500),
)
MODES = st.sampled_from((Serving.AGGREGATED, Serving.DISAGGREGATED))
# Bounds about as far from what is shown as the median is from an uncorrected point.
NEAR = st.one_of(st.floats(0.7, 0.999), st.floats(1.001, 1.4))
SLOS = st.builds(lambda ttft, tpot: Slo(ttft_ms=ttft, tpot_ms=tpot), st.floats(200.0, 9_000.0), st.floats(5.0, 90.0))


def served(workload: InferenceWorkload, load: Load, mode: Serving) -> Estimate:
    return estimate(
        workload,
        Deployment(gpu="b200-sxm", gpus=16, tp=8, mode=mode, load=load),
        hardware=CATALOG.hardware,
        architecture=CATALOG.models[str(workload.model)].architecture,
        application=None,
        calibration=CATALOG.calibration,
    )


def shown(found: Estimate | SizingOption, name: str) -> Interval:
    return next(metric.interval for metric in found.metrics if metric.name == name)


def tails(found: Estimate) -> tuple[float, float]:
    return shown(found, "ttft_p95_ms").p50, shown(found, "tpot_p95_ms").p50


@settings(max_examples=60, deadline=None)
@given(workload=WORKLOADS, mode=MODES, clients=st.integers(1, 600), ttft=NEAR, tpot=NEAR)
def test_a_bound_is_met_where_the_number_shown_meets_it(
    workload: InferenceWorkload, mode: Serving, clients: int, ttft: float, tpot: float
) -> None:
    load = Load(kind=LoadKind.CONCURRENCY, value=clients)
    first, second = tails(served(workload, load, mode))
    bounded = replace(workload, slo=Slo(ttft_ms=first * ttft, tpot_ms=second * tpot))
    assert served(bounded, load, mode).meets_slo == (ttft > 1.0 and tpot > 1.0)


@settings(max_examples=60, deadline=None)
@given(workload=WORKLOADS, mode=MODES, slo=SLOS)
def test_the_highest_rate_within_bounds_is_shown_within_them(
    workload: InferenceWorkload, mode: Serving, slo: Slo
) -> None:
    found = served(replace(workload, slo=slo), HIGHEST, mode)
    for bound, tail, name in zip((slo.ttft_ms, slo.tpot_ms), tails(found), ("ttft_ms", "tpot_ms"), strict=True):
        assert bound is not None
        if found.meets_slo:
            assert tail <= bound * (1.0 + ROUNDING)
            assert "no rate meets" not in found.bottleneck
        elif tail > bound * (1.0 + ROUNDING):
            assert f"slo.{name} of {bound:g}: {spoken(tail)} ms" in found.bottleneck


@settings(max_examples=30, deadline=None)
@given(workload=WORKLOADS, mode=MODES, share=st.floats(0.1, 0.999))
def test_a_rate_has_one_capacity(workload: InferenceWorkload, mode: Serving, share: float) -> None:
    """What is told beside a rate is where rates end, and what the saturated deployment carries."""
    most = shown(served(workload, SATURATED, mode), "requests_s").p50

    def at(rate: float) -> Estimate:
        return served(workload, Load(kind=LoadKind.RATE, requests_s=rate), mode)

    assert shown(at(most * share), "capacity_requests_s").p50 == pytest.approx(most, rel=ROUNDING)
    assert shown(at(most * share), "requests_s").p50 == pytest.approx(most * share, rel=ROUNDING)
    with pytest.raises(InvalidRequestError) as caught:
        at(most * 1.001)
    told = float(caught.value.detail.errors[0].limit or 0.0)
    assert told == pytest.approx(most, rel=1e-3)
    # What is told is carried when it is asked for.
    assert shown(at(told), "requests_s").p50 == pytest.approx(told, rel=ROUNDING)


@settings(max_examples=30, deadline=None)
@given(workload=WORKLOADS, mode=MODES)
def test_the_working_ends_in_the_number_that_is_shown(workload: InferenceWorkload, mode: Serving) -> None:
    found = served(workload, SATURATED, mode)
    lines = {step.name: step.value for step in found.working}
    assert lines["ttft_p50_ms"] == shown(found, "ttft_ms").p50
    assert lines["tpot_p50_ms"] == shown(found, "tpot_ms").p50


@settings(max_examples=30, deadline=None)
@given(workload=WORKLOADS, mode=MODES, share=st.floats(0.05, 0.99))
def test_requests_in_flight_are_rate_times_latency(workload: InferenceWorkload, mode: Serving, share: float) -> None:
    """Little's law among the numbers shown, wherever the number of clients is not what was asked."""
    full = served(workload, SATURATED, mode)
    rate = Load(kind=LoadKind.RATE, requests_s=share * shown(full, "requests_s").p50)
    for found in (full, served(workload, rate, mode)):
        assert shown(found, "concurrency").p50 == pytest.approx(
            shown(found, "requests_s").p50 * shown(found, "request_latency_ms").p50 / 1000.0, rel=THREE_ROUNDED
        )


# One prefill instance of 72 ranks in four stages is bought full and operated emptier, where ranks wait for each other.
@example(
    workload=inference_workload(
        model="deepseek-v3", isl_tokens=TokenLength(mean=5328.0), osl_tokens=TokenLength(mean=67.0), slo=None
    ),
    slo=Slo(ttft_ms=5104.0, tpot_ms=36.0),
    rate=80.0,
    serving=Serving.AUTO,
    confidence=0.9,
)
# Its decode instances are as good as full: between points of the grid a batch was solved for beyond the bound.
@example(
    workload=inference_workload(
        model="gemma-3-27b", isl_tokens=TokenLength(mean=766.0), osl_tokens=TokenLength(mean=778.0), slo=None
    ),
    slo=Slo(ttft_ms=654.0, tpot_ms=73.5),
    rate=137.25,
    serving=Serving.DISAGGREGATED,
    confidence=0.5,
)
@settings(max_examples=12, deadline=None)
@given(
    workload=WORKLOADS,
    slo=SLOS,
    rate=st.floats(0.2, 200.0),
    serving=st.sampled_from(Serving),
    confidence=st.sampled_from((0.5, 0.9)),
)
def test_an_option_is_shown_to_keep_what_it_was_sized_for(
    workload: InferenceWorkload, slo: Slo, rate: float, serving: Serving, confidence: float
) -> None:
    """The quantile of the interval that the confidence asks for lies within the bounds, and the demand under it."""
    asked = replace(workload, slo=slo, demand=Demand(requests_s=rate), serving=serving)
    for option in sized(asked, confidence):
        ends = [shown(option, f"{name}_p95_ms") for name in ("ttft", "tpot")]
        bounds = slo.ttft_ms or 0.0, slo.tpot_ms or 0.0
        for end, bound in zip(ends, bounds, strict=True):
            assert (end.p50 if confidence == 0.5 else end.p90) <= bound * (1.0 + ROUNDING)
        capacity = shown(option, "capacity_requests_s")
        assert (capacity.p50 if confidence == 0.5 else capacity.p10) >= rate * (1.0 - ROUNDING)


@settings(max_examples=8, deadline=None)
@given(workload=WORKLOADS, slo=SLOS, rate=st.floats(0.5, 60.0))
def test_an_option_is_what_estimate_says_of_it(workload: InferenceWorkload, slo: Slo, rate: float) -> None:
    asked = replace(workload, slo=slo, demand=Demand(requests_s=rate), serving=Serving.AGGREGATED)
    for option in sized(asked, 0.8)[:4]:
        found = estimate(
            asked,
            Deployment(
                gpu=option.gpu,
                gpus=option.replicas * option.gpus_instance,
                server=option.server,
                tp=option.layout.tp,
                pp=option.layout.pp,
                attention_dp=option.layout.attention_dp,
                ep=option.layout.ep,
                load=Load(kind=LoadKind.RATE, requests_s=rate),
            ),
            hardware=CATALOG.hardware,
            architecture=CATALOG.models[str(asked.model)].architecture,
            application=None,
            calibration=CATALOG.calibration,
        )
        assert found.meets_slo
        for name in ("ttft_ms", "ttft_p95_ms", "tpot_ms", "tpot_p95_ms", "requests_s", "concurrency"):
            assert shown(found, name).p50 == pytest.approx(shown(option, name).p50, rel=1e-5), name


def sized(workload: InferenceWorkload, confidence: float) -> tuple[SizingOption, ...]:
    return sized_by(CATALOG, WEIGHT, workload, min_confidence_fraction=confidence).options
